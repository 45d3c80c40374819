"""The service's store: schema, migrations and named queries as SQL files, with typed reads and writes."""
