"""Redshift's COPY and UNLOAD: their options, and the same work on PostgreSQL and DuckDB, value for value."""
