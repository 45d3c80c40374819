"""The form of a query file: `-- name: NAME`, then one statement, to the next name."""

from __future__ import annotations

import re

_NAME = re.compile(r"^-- name: (\w+)[^\n]*$", re.MULTILINE)


def parse_queries(text: str) -> dict[str, str]:
    """The statements of a file by name."""
    parts = _NAME.split(text)
    return {name: body.strip().rstrip(";") for name, body in zip(parts[1::2], parts[2::2], strict=True)}
