"""A record of nearly the longest length: what it is read and written with fits into a task runner's memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.data.formats import CSV, AnyFormat, JsonLines, delimited, read_rows, write_rows

pytestmark = pytest.mark.by_hand

MB = 1_000_000
SIZE = 60 * MB


class Nowhere:
    """A stream that keeps nothing."""

    def write(self, data: bytes) -> None:
        """Forget it."""


@contextmanager
def little_memory(most: int = 200 * MB) -> Iterator[None]:
    """Fails the test if more is held at once: with the program itself 300 MB is the limit."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < most


@pytest.mark.parametrize("piece", ["abc", r"a\n", r"\n", r"\u00e9", r"\\", r"\""])
@pytest.mark.parametrize("target", [CSV(), JsonLines(("id", "note")), delimited("CSV", quoting="rfc4180")])
def test_json_lines_with_many_escapes(tmp_path: Path, piece: str, target: AnyFormat) -> None:
    line = '{"id":1,"note":"' + piece * (SIZE // len(piece)) + '"}\n'
    (tmp_path / "in").write_text(line * 2)
    with (tmp_path / "in").open("rb") as stream, little_memory():
        assert write_rows(Nowhere(), target, read_rows(stream, JsonLines())) == 2


@pytest.mark.parametrize("piece", [r"\a\,b", "\\\nab\\\\"])
def test_the_services_csv_with_many_escapes(tmp_path: Path, piece: str) -> None:
    (tmp_path / "in").write_text("1," + piece * (SIZE // 4 // len(piece)) + "\n")
    with (tmp_path / "in").open("rb") as stream, little_memory(SIZE * 5 // 4):
        rows = [row for batch in read_rows(stream, CSV()) for row in batch]
    assert [len(row[1]) for row in rows] == [SIZE // 4 // len(piece) * (3 if len(piece) == 5 else 4)]
