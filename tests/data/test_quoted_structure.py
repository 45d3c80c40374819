"""The structure of quoted text is seen whole, however it is cut into blocks."""

from __future__ import annotations

import pytest

from penstock.data.formats import FormatError
from penstock.data.formats.structure import QuotedStructure


def structure(text: bytes, cut: int) -> QuotedStructure:
    found = QuotedStructure(",")
    for at in range(0, len(text), cut):
        found.take(text[at : at + cut])
    found.end()
    return found


@pytest.mark.parametrize("cut", [1, 63, 64, 65, 1000])
def test_records_and_columns_are_counted_outside_of_quotes(cut: int) -> None:
    text = b'a,"b,""\n\r""",c\n' * 40 + b'"","x",'
    assert structure(text, cut).has(41, 3)
    assert not structure(text + b",", cut).has(41, 3)
    assert not structure(b"a,b\r\n" * 40, cut).has(40, 2)


@pytest.mark.parametrize("cut", [1, 64, 1000])
@pytest.mark.parametrize("wrong", [b'a"b\n', b' "a"\n', b'"a" \n', b'"a"b\n', b'"a\n', b'a""\n'])
def test_a_quote_where_none_may_stand_is_an_error(cut: int, wrong: bytes) -> None:
    for before in (b"", b"x\n" * 31, b"xy\n" * 21, b'"a"\n' * 50):
        with pytest.raises(FormatError):
            structure(before + wrong, cut)
