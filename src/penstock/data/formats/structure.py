"""Whether quotes stand only where RFC 4180 allows them, and how many fields a text has.

Much text is looked at here besides the program that reads it for us, so it has to be fast: every byte becomes one bit
in a word for each kind of mark, and the words are compared, 64 bytes at once. A bit shifted to the left is that of the
next byte, since the first byte is the lowest bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from penstock.data.records import FormatError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PART = 1 << 19
_WORD = 64


class QuotedStructure:
    """What is seen of a text that comes in blocks: take them all, then `end`.

    `fields` counts what ends a field outside of quotes, line feeds and column separators, and the end of a text that
    has no line feed there; `returns` counts the carriage returns. A byte order mark is not to be among the blocks.
    """

    def __init__(self, separator: str) -> None:
        self.fields = self.returns = 0
        self._separator = ord(separator)
        self._rest, self._last = b"", b"\n"
        self._is_inside = 0
        self._may_open = 1  # the last byte is a mark, after which a quote may open
        self._closes = 0  # the last byte is a quote that closes
        self._room: tuple[NDArray[np.bool_], NDArray[np.uint64]] | None = None

    def take(self, block: bytes) -> None:
        """Look at the next bytes; raises `FormatError` for a quote where none may stand."""
        import numpy as np

        if not block:
            return
        self._last = block[-1:]
        if self._rest:
            block = self._rest + block
        whole = len(block) // _WORD * _WORD
        self._rest = block[whole:]
        values, has_return = np.frombuffer(block, np.uint8), b"\r" in block
        for at in range(0, whole, _PART):
            self._look(values[at : min(at + _PART, whole)], has_return=has_return)

    def seen(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """All blocks of a text, which are taken as they go by, to its end."""
        for block in blocks:
            self.take(block)
            yield block
        self.end()

    def end(self) -> None:
        """There is no more; raises `FormatError` for a quote where none may stand, or that is never closed."""
        import numpy as np

        rest = self._rest + (b"" if self._last == b"\n" else b"\n")
        if rest:
            self._look(np.frombuffer(rest.ljust(2 * _WORD, b"\0"), np.uint8), has_return=b"\r" in rest)
        self._rest = b""
        if self._is_inside:
            raise FormatError("A quote is never closed.")

    def has(self, records: int, width: int, *, is_crlf: bool = False) -> bool:
        """Whether so many records have so many columns and end in a line feed alone, or in CR LF, if none has fewer."""
        return (self.fields, self.returns) == (records * width, records if is_crlf else 0)

    def _look(self, values: NDArray[np.uint8], *, has_return: bool) -> None:
        import numpy as np

        if self._room is None:
            self._room = np.empty((2, _PART), np.bool_), np.empty((3, _PART // _WORD + 1), np.uint64)
        size = len(values) // _WORD
        one, top = np.uint64(1), np.uint64(63)
        (flags, others), (carried, outside, made) = self._room[0][:, : len(values)], self._room[1][:, : size + 1]
        outside, made, before, high = outside[:-1], made[:-1], carried[:-1], carried[1:]

        def bits(found: NDArray[np.bool_]) -> NDArray[np.uint64]:
            return cast("NDArray[np.uint64]", np.packbits(found, bitorder="little").view("<u8"))

        quotes = bits(np.equal(values, 0x22, out=flags))
        np.equal(values, 0x0A, out=flags)
        marks = bits(np.logical_or(flags, np.equal(values, self._separator, out=others), out=flags))
        returns = bits(np.equal(values, 0x0D, out=flags)) if has_return else None
        np.left_shift(quotes, one, out=outside)
        outside ^= quotes
        for shift in (2, 4, 8, 16, 32):  # each bit: whether an odd number of quotes is up to it, in its word
            np.left_shift(outside, np.uint64(shift), out=made)
            outside ^= made
        carried[0] = self._is_inside
        np.right_shift(outside, top, out=high)
        np.bitwise_xor.accumulate(carried, out=carried)
        np.negative(before, out=made)
        outside ^= made
        self._is_inside = int(carried[-1])
        np.invert(outside, out=outside)

        np.bitwise_and(marks, outside, out=made)
        self.fields += int(np.bitwise_count(made).sum())
        if returns is not None:
            marks |= returns
            returns &= outside
            self.returns += int(np.bitwise_count(returns).sum())
        marks |= quotes
        closes, opens = outside, quotes
        closes &= quotes
        opens ^= closes

        def put_behind(found: NDArray[np.uint64], bit: int) -> int:
            """Make `made` these bits, each at the next byte, and that of the byte before them; gives their last."""
            carried[0] = bit
            np.right_shift(found, top, out=high)
            np.left_shift(found, one, out=made)
            np.bitwise_or(made, before, out=made)
            return int(high[-1])

        self._may_open = put_behind(marks, self._may_open)
        np.invert(made, out=made)
        made &= opens  # those that no mark is before
        is_wrong = bool(made.any())
        self._closes = put_behind(closes, self._closes)
        np.invert(marks, out=marks)
        made &= marks  # what is no mark and comes after one that closes
        if is_wrong or made.any():
            raise FormatError("A quote stands where RFC 4180 allows none.")
