"""Where a database is: reading JDBC connection strings and database URLs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, unquote

from penstock.data.databases import mysql_address
from penstock.data.databases.rows import DatabaseError

Dialect = Literal["sqlite", "postgresql", "redshift", "duckdb", "mysql"]

_NOT_BUILT = {
    "oracle": "Oracle",
    "sqlserver": "SQL Server",
    "jtds": "SQL Server",
    "db2": "Db2",
    "h2": "H2",
    "snowflake": "Snowflake",
    "hive2": "Hive",
    "bigquery": "BigQuery",
}
_SUPPORTED = "Write jdbc:postgresql://host:port/database, jdbc:sqlite:file or duckdb:file."
_LIBPQ_NAMES = """
application_name channel_binding connect_timeout gssencmode keepalives keepalives_count keepalives_idle
keepalives_interval options passfile require_auth service sslcert sslcrl sslkey sslmode sslpassword
sslrootcert target_session_attrs tcp_user_timeout"""
_LIBPQ = frozenset(_LIBPQ_NAMES.split())
_JDBC = {
    "applicationname": "application_name",
    "connecttimeout": "connect_timeout",
    "logintimeout": "connect_timeout",
}


@dataclass(frozen=True)
class Address:
    """A database that can be connected to.

    `database` is the path of the file for SQLite and the name of the database for PostgreSQL. `host` and
    `port` are empty where the driver's defaults hold, and lists joined by commas for several hosts.
    `options` are libpq's.
    """

    dialect: Dialect
    host: str = ""
    port: str = ""
    database: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    written_for: Literal["redshift"] | None = None
    """The SQL that the statements are written in, where it is not the database's own and must be translated."""

    def __str__(self) -> str:
        """The address for people: without user, password and options."""
        if self.dialect == "sqlite":
            return f"sqlite:{self.database}"
        if self.dialect == "duckdb":
            return f"duckdb:{self.database}"
        if self.host.startswith("/"):  # a socket, whose folder tells nobody anything
            return f"postgresql:{self.database}"
        port = f":{self.port}" if self.port else ""
        scheme = self.dialect
        return f"{scheme}://{self.host}{port}/{self.database}"


def parse_connection_string(
    text: str,
    *,
    username: str | None = None,
    password: str | None = None,
    database: str | None = None,
    folder: Path,
) -> Address:
    """The address that a connection string means, with or without `jdbc:` before it.

    `jdbc:postgresql://host:port/database?parameters` and `jdbc:sqlite:FILE`; a relative file lies in
    `folder`. The arguments win over what the string says. JDBC parameters that tune the Java driver alone
    are ignored. Raises `DatabaseError` for databases that are not built yet and for strings that name none,
    without their text, which may hold a password.
    """
    plain = re.sub(r"\Ajdbc:", "", text.strip(), flags=re.IGNORECASE)
    scheme, colon, rest = plain.partition(":")
    scheme = scheme.lower()
    if not colon or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise DatabaseError(f"The connection string names no kind of database. {_SUPPORTED}")
    if scheme in ("sqlite", "sqlite3"):
        return _sqlite(rest, database, folder)
    if scheme == "duckdb":
        return _duckdb(rest, database, folder)
    if scheme == "redshift":
        if rest.startswith("iam:"):
            raise DatabaseError(
                "Connection strings jdbc:redshift:iam: need temporary passwords of AWS and are not built."
                " Write jdbc:redshift://host:5439/database, with username and password."
            )
        found = _postgresql(rest, username, password, database, is_jdbc=True)
        return replace(found, dialect="redshift", port=found.port or "5439")
    if scheme in ("mysql", "mariadb"):
        return _mysql(rest, username, password, database, is_jdbc=plain != text.strip())
    if scheme in ("postgresql", "postgres"):
        return _postgresql(rest, username, password, database, is_jdbc=plain != text.strip())
    known = _NOT_BUILT.get(scheme)
    if known is not None:
        raise DatabaseError(f"{known} databases ({scheme}:) are not built yet. {_SUPPORTED}")
    raise DatabaseError(f"'{scheme}:' is not a known kind of database. {_SUPPORTED}")


def _sqlite(rest: str, database: str | None, folder: Path) -> Address:
    name = unquote(rest.partition("?")[0])
    name = re.sub(r"\A//(?=/)", "", name).removeprefix("//") or database or ""
    if ":memory:" in name or "mode=memory" in rest:
        raise DatabaseError(
            "A SQLite database in memory (:memory:) is refused:"
            " each connection would have an empty one of its own. Name a file."
        )
    if not name:
        raise DatabaseError("The connection string names no SQLite file. Write jdbc:sqlite:NAME.")
    if name.startswith("file:") or "\0" in name:
        raise DatabaseError(f"{name!r} is not the name of a SQLite file. Write a path, such as jdbc:sqlite:NAME.")
    path = Path(name)
    if not path.is_absolute():
        path = (folder / path).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise DatabaseError(f"The SQLite file '{name}' lies outside of the data folder. Write an absolute path.")
    if path.is_dir():
        raise DatabaseError(f"'{name}' is a folder, not a SQLite file. Name a file.")
    return Address("sqlite", database=str(path))


def _duckdb(rest: str, database: str | None, folder: Path) -> Address:
    name = unquote(rest.partition("?")[0])
    name = re.sub(r"\A//(?=/)", "", name).removeprefix("//") or database or ""
    if not name or ":memory:" in name:
        raise DatabaseError("The connection string names no DuckDB file. Write duckdb:NAME.")
    if name.startswith("md:") or "\0" in name:
        raise DatabaseError(f"{name!r} is not the name of a DuckDB file. Write a path, such as duckdb:NAME.")
    path = Path(name)
    if not path.is_absolute():
        path = (folder / path).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise DatabaseError(f"The DuckDB file '{name}' lies outside of the data folder. Write an absolute path.")
    if path.is_dir():
        raise DatabaseError(f"'{name}' is a folder, not a DuckDB file. Name a file.")
    return Address("duckdb", database=str(path))


def _postgresql(
    rest: str, username: str | None, password: str | None, database: str | None, *, is_jdbc: bool
) -> Address:
    location, _, query = rest.partition("?")
    hosts, ports = "", ""
    if location.startswith("//"):
        authority, _, name = location[2:].partition("/")
        user_text, _, host_text = authority.rpartition("@")
        user, _, secret = user_text.partition(":")
        hosts, ports = _hosts(host_text)
    else:
        name, user, secret = location.lstrip("/"), "", ""
    given = dict(parse_qsl(query, keep_blank_values=True))
    options = _options(given, is_jdbc=is_jdbc)
    return Address(
        "postgresql",
        given.get("host", hosts),
        given.get("port", ports),
        database or unquote(name) or given.get("dbname", ""),
        username or given.get("user") or unquote(user) or None,
        password or given.get("password") or unquote(secret) or None,
        tuple(sorted(options.items())),
    )


def _mysql(rest: str, username: str | None, password: str | None, database: str | None, *, is_jdbc: bool) -> Address:
    location, _, query = mysql_address.KINDS.sub("", rest).partition("?")
    if not location.startswith("//") or "(" in location:
        raise DatabaseError("The connection string has no readable host. Write jdbc:mysql://host:port/database.")
    authority, _, name = location[2:].partition("/")
    user_text, _, host_text = authority.rpartition("@")
    user, _, secret = user_text.partition(":")
    hosts, ports = _hosts(host_text, "mysql")
    given = dict(parse_qsl(query, keep_blank_values=True))
    options = mysql_address.options_of(given, is_jdbc=is_jdbc)
    return Address(
        "mysql",
        hosts or "localhost",
        ports,
        database or unquote(name),
        username or given.get("user") or unquote(user) or None,
        password or given.get("password") or unquote(secret) or None,
        tuple(sorted(options.items())),
    )


def _hosts(text: str, scheme: str = "postgresql") -> tuple[str, str]:
    """`host:5432,[::1]:5433` as the hosts and the ports, each joined by commas."""
    hosts, ports = [], []
    for part in text.split(",") if text else []:
        match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]*))?", part)
        if match is None or not 0 <= int(match[2] or 5432) <= 65535:
            raise DatabaseError(
                "The connection string has no readable host and port."
                f" Write jdbc:{scheme}://host:port/database,"
                " and give user and password in their own fields, or with special characters percent-encoded."
            )
        hosts.append(unquote(match[1]).strip("[]"))
        ports.append(match[2] or "")
    return ",".join(hosts), ",".join(ports) if any(ports) else ""


def _options(given: dict[str, str], *, is_jdbc: bool) -> dict[str, str]:
    """The connection parameters that libpq understands, with pgJDBC's own names translated."""
    options: dict[str, str] = {}
    for key, value in given.items():
        if key in ("user", "password", "host", "port", "dbname"):
            continue
        known = key if key in _LIBPQ else _JDBC.get(key.lower(), "")
        if known:
            options.setdefault(known, value)
        elif key == "currentSchema":
            options["options"] = "-c search_path=" + re.sub(r"([\\ ])", r"\\\1", value)
        elif key == "ssl" and value.lower() in ("", "true"):
            lenient = "NonValidatingFactory" in given.get("sslfactory", "")
            options.setdefault("sslmode", "require" if lenient else "verify-full")
        elif not is_jdbc:
            raise DatabaseError(f"PostgreSQL has no connection parameter '{key}'.")
    if "sslmode" in given:
        options["sslmode"] = given["sslmode"]
    return options
