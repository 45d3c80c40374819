"""Secrets never reach a log, wherever a stream is cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from penstock.runner.masking import MASK, Masking


def copied(masking: Masking, *chunks: bytes) -> bytes:
    stream = masking.stream()
    return b"".join([*(stream.part(chunk) for chunk in chunks), stream.rest()])


def test_a_secret_in_a_text_becomes_five_stars() -> None:
    assert Masking(["hunter2"]).text("password=hunter2;") == "password=*****;"


def test_a_text_without_secrets_stays_as_it_is() -> None:
    assert Masking([]).text("tail \udcff") == "tail \udcff"
    assert not Masking([""]).is_needed


def test_a_secret_cut_in_two_by_the_stream_is_masked() -> None:
    assert copied(Masking(["hunter2"]), b"a hun", b"ter2 b") == b"a ***** b"


def test_a_secret_that_comes_byte_by_byte_is_masked() -> None:
    assert copied(Masking(["hunter2"]), *[bytes([c]) for c in b"a hunter2 hunter3"]) == b"a ***** hunter3"


def test_the_longer_of_two_secrets_is_masked_whole_when_the_stream_is_cut_after_the_shorter() -> None:
    assert copied(Masking(["abc", "abcdef"]), b"abc", b"def.") == b"*****."


def test_the_beginning_of_a_secret_at_the_end_of_the_stream_is_written() -> None:
    assert copied(Masking(["hunter2"]), b"hunt") == b"hunt"


def test_the_lines_of_a_secret_of_several_lines_are_masked_one_by_one() -> None:
    masking = Masking(["-----BEGIN-----\nMIIE\nab\n-----END-----"])
    assert masking.text("got MIIE") == "got *****"
    assert masking.text("drab") == "drab"


def test_bytes_that_are_no_text_pass() -> None:
    assert copied(Masking(["hunter2"]), b"\xff\x00hunter2\xfe") == b"\xff\x00*****\xfe"


@given(
    secrets=st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=4),
    text=st.text("abc", max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=8),
)
def test_where_a_stream_is_cut_makes_no_difference(secrets: list[str], text: str, cuts: list[int]) -> None:
    masking = Masking(secrets)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    chunks = [text[start:end].encode() for start, end in pairwise(places)]
    assert copied(masking, *chunks).decode() == masking.text(text)


@given(secrets=st.lists(st.text("ab", min_size=1, max_size=5), min_size=1, max_size=4), text=st.text("abc"))
def test_no_secret_is_left_in_a_masked_text(secrets: list[str], text: str) -> None:
    parts = Masking(secrets).text(text).split(MASK)
    assert not any(secret in part for secret in secrets for part in parts)
