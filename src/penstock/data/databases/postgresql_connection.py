"""Connecting to PostgreSQL, and to what speaks its protocol."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import make_conninfo

from penstock.data.databases.address import Address


def conninfo(address: Address, **defaults: str) -> str:
    """What libpq takes to connect to an address, with its password; the options of the address win over `defaults`."""
    parameters = {
        **defaults,
        **dict(address.options),
        "host": address.host or None,
        "port": address.port or None,
        "dbname": address.database or None,
        "user": address.username,
        "password": address.password,
        "client_encoding": "utf8",
    }
    return make_conninfo(**{name: value for name, value in parameters.items() if value is not None})


def connect(conninfo: str) -> psycopg.Connection:
    """A connection on which each statement is a transaction of its own, and `$1` stands for a value."""
    return psycopg.connect(conninfo, autocommit=True, cursor_factory=psycopg.RawCursor)
