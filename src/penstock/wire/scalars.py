"""The two scalars whose JSON form differs from their Python form: timestamps and blobs.

Timestamps are aware datetimes in UTC; on the wire they are epoch seconds, unless the model asks for `iso8601`
or `rfc822`.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_timestamp(value: object) -> datetime:
    """The moment that epoch seconds, an ISO 8601 text (UTC if it names no zone) or an HTTP date stand for.

    ValueError where the value is none of these or lies outside the years 1 to 9999.
    """
    try:
        if type(value) is int or type(value) is float:
            return EPOCH + timedelta(seconds=value)
        if isinstance(value, datetime):
            moment = value
        elif isinstance(value, str):
            moment = _read_text(value)
        else:
            raise ValueError("neither a number nor a text")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("outside the years 1 to 9999") from None


def _read_text(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        if "," not in value:
            raise
    from email.utils import parsedate_to_datetime

    return parsedate_to_datetime(value)


def write_timestamp(moment: datetime | float, form: str | None) -> int | float | str:
    """The wire form of a moment in the model's timestampFormat; ValueError for a datetime without zone."""
    if not isinstance(moment, datetime):
        moment = read_timestamp(moment)
    elif moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    match (form or "unixTimestamp").lower():
        case "unixtimestamp":
            microseconds = (moment - EPOCH) // timedelta(microseconds=1)
            # Divided once, so that the number is rounded once; whole seconds stay integers.
            return microseconds / 10**6 if microseconds % 10**6 else microseconds // 10**6
        case "iso8601":
            return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
        case "rfc822":
            from email.utils import format_datetime

            return format_datetime(moment.astimezone(UTC), usegmt=True)
    raise ValueError(f"The time format {form!r} is not supported")


def read_blob(value: object) -> bytes:
    """The bytes that a base64 text stands for (line ends are allowed in it); ValueError otherwise."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError("not a base64 text")
    try:
        return base64.b64decode(value.replace("\r", "").replace("\n", ""), validate=True)
    except binascii.Error:
        raise ValueError("not a base64 text") from None


def write_blob(value: bytes | bytearray | str) -> str:
    """Base64 of bytes, or of a text in UTF-8 as botocore takes it."""
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode("ascii")
