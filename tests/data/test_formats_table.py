"""The page of data formats: its tables say what really comes out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))

import formats_reference as page  # noqa: E402

THREE = ("NULL", "the empty string", "the word NULL")


def test_the_page_is_current() -> None:
    text = "\n\n".join(page.formats()) + "\n"
    assert (DOCS / "reference" / "formats.md").read_text(encoding="utf-8") == text, "Run `make docs`."


@pytest.mark.parametrize("name", page.FORMATS)
def test_null_the_empty_string_and_the_word_null_stay_three(name: str) -> None:
    format = page.FORMATS[name]
    rows = [("1", page.VALUES[label]) for label in THREE if name != "RegEx" or label != "NULL"]
    assert page.read(page.written(format, rows), format) == rows


def test_nothing_is_changed_but_the_zone_of_a_time() -> None:
    text = (DOCS / "reference" / "formats.md").read_text(encoding="utf-8")
    pairs = text[text.index("| from \\ to") :]
    assert {part.split(" |")[0] for part in pairs.split("changed: ")[1:]} == {"with zone"}
