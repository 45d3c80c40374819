"""Whether quotes stand only where RFC 4180 allows them, and how many records and columns a text has.

Much text is looked at here besides the program that reads it for us, so it has to be fast: every byte becomes one bit
in a word for each of the four marks, and the words are compared, 64 bytes at once. A bit shifted to the left is that
of the next byte, since the first byte is the lowest bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from penstock.data.records import FormatError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PART = 1 << 19
_WORD = 64


class QuotedStructure:
    """What is seen of a text that comes in blocks: take them all, then `end`.

    `records`, `separators` and `returns` are the line feeds, column separators and carriage returns outside of quotes;
    a last record without its line feed is counted too. A byte order mark is not to be among the blocks.
    """

    def __init__(self, separator: str) -> None:
        import numpy as np

        self.records = self.separators = self.returns = 0
        self._separator = ord(separator)
        self._rest, self._last = b"", b"\n"
        self._is_inside = 0
        self._may_open = 1  # the last byte is a mark, after which a quote may open
        self._closes = 0  # the last byte is a quote that closes
        self._flags = np.empty(_PART, np.bool_)
        self._words = np.empty((3, _PART // _WORD + 1), np.uint64)

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
        values = np.frombuffer(block, np.uint8)
        for at in range(0, whole, _PART):
            self._look(values[at : min(at + _PART, whole)])

    def end(self) -> None:
        """There is no more; raises `FormatError` for a quote where none may stand, or that is never closed."""
        import numpy as np

        rest = self._rest + (b"" if self._last == b"\n" else b"\n")
        if rest:
            self._look(np.frombuffer(rest.ljust(2 * _WORD, b"\0"), np.uint8))
        self._rest = b""
        if self._is_inside:
            raise FormatError("A quote is never closed.")

    def has(self, records: int, width: int) -> bool:
        """Whether it is so many records of so many columns, each but the last ended by a line feed alone."""
        return (self.records, self.separators, self.returns) == (records, records * (width - 1), 0)

    def _look(self, values: NDArray[np.uint8]) -> None:
        import numpy as np

        size = len(values) // _WORD
        one, top = np.uint64(1), np.uint64(63)
        carried, outside, made = self._words[0][: size + 1], self._words[1][:size], self._words[2][:size]
        before, high = carried[:-1], carried[1:]
        flags = self._flags[: len(values)]

        def bits(mark: int) -> NDArray[np.uint64]:
            found = np.packbits(np.equal(values, mark, out=flags), bitorder="little")
            return cast("NDArray[np.uint64]", found.view("<u8"))

        quotes, ends, returns, separators = bits(0x22), bits(0x0A), bits(0x0D), bits(self._separator)
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

        marks = ends | separators
        marks |= returns
        for found, name in ((ends, "records"), (separators, "separators"), (returns, "returns")):
            found &= outside
            setattr(self, name, getattr(self, name) + int(np.bitwise_count(found).sum()))
        marks |= quotes
        closes, opens = outside, quotes
        closes &= quotes
        opens ^= closes

        carried[0] = self._may_open
        np.right_shift(marks, top, out=high)
        self._may_open = int(high[-1])
        np.left_shift(marks, one, out=made)
        made |= before
        np.invert(made, out=made)
        made &= opens  # those that no mark is before
        is_wrong = bool(made.any())
        carried[0] = self._closes
        np.right_shift(closes, top, out=high)
        self._closes = int(high[-1])
        np.left_shift(closes, one, out=made)
        made |= before
        np.invert(marks, out=marks)
        made &= marks  # what is no mark and comes after one that closes
        if is_wrong or made.any():
            raise FormatError("A quote stands where RFC 4180 allows none.")
