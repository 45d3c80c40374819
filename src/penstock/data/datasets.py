"""What files, directories and tables are called where lineage is recorded: by OpenLineage's rules, without secrets.

The rules are those of https://openlineage.io/docs/spec/naming: `s3://bucket` and the key; `postgres://host:port` and
`database.schema.table`; `mysql://host:port` and `database.table`. A database that is a file, for which there is no
rule, is `sqlite:/its/path` and the table.
"""

from __future__ import annotations

from dataclasses import dataclass

from penstock.data.databases import Address
from penstock.data.databases.rows import name_parts
from penstock.data.storage import format_uri, parse_uri

_SERVERS = {
    "postgresql": ("postgres", "5432", "public"),
    "redshift": ("redshift", "5439", "public"),
    "mysql": ("mysql", "3306", None),
    "mariadb": ("mysql", "3306", None),
}
"""The scheme, the port and the schema that hold where an address does not say them."""


@dataclass(frozen=True)
class Dataset:
    """Data by its name within a namespace, its place as people write it, and the place of the whole source."""

    namespace: str
    name: str
    uri: str
    source_uri: str


def file_dataset(uri: str) -> Dataset:
    """An object, or all objects under a prefix that ends in a slash. Raises `StorageError` for what is no URI."""
    bucket, key = parse_uri(uri)
    source = format_uri(bucket, "").rstrip("/")
    return Dataset(source, key.rstrip("/") or "/", format_uri(bucket, key), source)


def database_dataset(address: Address) -> Dataset:
    """A whole database, for work that does not say which tables it touches."""
    source = str(address)
    return Dataset(_namespace(address), address.database or source, source, source)


def table_dataset(address: Address, table: str, schema: str | None = None) -> Dataset:
    """A table of a database; `table` and `schema` as data nodes have them."""
    known_schema, name, _ = name_parts(table, schema)
    source = str(address)
    shown = f"{known_schema}.{name}" if known_schema else name
    parts: tuple[str | None, ...] = (known_schema, name)
    if address.dialect in _SERVERS:
        parts = (address.database, known_schema or _SERVERS[address.dialect][2], name)
    return Dataset(_namespace(address), ".".join(part for part in parts if part), f"{source}#{shown}", source)


def _namespace(address: Address) -> str:
    if address.dialect not in _SERVERS:  # a file
        return str(address)
    scheme, port, _ = _SERVERS[address.dialect]
    host = address.host.partition(",")[0]
    if not host or host.startswith("/"):  # the driver's default, or a socket
        host = "localhost"
    return f"{scheme}://{host}:{address.port.partition(',')[0] or port}"
