"""Which values PostgreSQL gives as Python's own, and which as its own text."""

from __future__ import annotations

from datetime import date, datetime
from typing import cast

import psycopg
from psycopg.abc import Buffer
from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader
from psycopg.types.string import TextLoader

_TYPED_NAMES = 'bool int2 int4 int8 oid float4 float8 numeric text varchar bpchar name "char" bytea uuid'
_TYPED = frozenset(_TYPED_NAMES.split())
"""Types whose values come typed, with the dates; a value of any other type comes as text."""


def choose_types(connection: psycopg.Connection) -> None:
    """Let plain types come typed, and all others (intervals, arrays, JSON …) as PostgreSQL's own text.

    That text goes into another table, or a file, unchanged.
    """
    adapters = connection.adapters
    for known in adapters.types:
        if known.name not in _TYPED:
            adapters.register_loader(known.oid, TextLoader)
        if known.array_oid:
            adapters.register_loader(known.array_oid, TextLoader)
    adapters.register_loader("date", _Date)
    adapters.register_loader("timestamp", _Timestamp)
    adapters.register_loader("timestamptz", _TimestampWithZone)


class _Date(DateLoader):
    """A date; as text where Python has none such, like `infinity` and years before 1."""

    def load(self, data: Buffer) -> date:
        try:
            return super().load(data)
        except psycopg.DataError:
            return cast("date", bytes(data).decode())


class _Timestamp(TimestampLoader):
    """A timestamp; as text where Python has none such."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return cast("datetime", bytes(data).decode())


class _TimestampWithZone(TimestamptzLoader):
    """A timestamp with its zone; as text where Python has none such."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return cast("datetime", bytes(data).decode())
