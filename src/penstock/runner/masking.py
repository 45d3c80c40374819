"""Keeping secrets out of logs, messages and reports."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "*****"
SHORTEST_LINE = 4  # a line of a secret of several lines that is shorter than this says nothing


class Masking:
    """Replaces every secret of a task by `*****`; where two could begin, the longer one counts."""

    def __init__(self, secrets: Iterable[str]) -> None:
        whole = {secret for secret in secrets if secret}
        lines = {line for secret in whole for line in secret.splitlines() if len(line) >= SHORTEST_LINE}
        self._encoded = sorted({text.encode("utf-8", "replace") for text in whole | lines}, key=len, reverse=True)
        self._longest = max(map(len, self._encoded), default=0)
        self._pattern = re.compile(b"|".join(map(re.escape, self._encoded)))

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to mask."""
        return bool(self._encoded)

    def text(self, text: str) -> str:
        """The text without secrets."""
        if not self.is_needed:
            return text
        return self._pattern.sub(MASK.encode(), text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def stream(self) -> MaskedStream:
        """Masks a stream that comes in parts."""
        return MaskedStream(self)

    def whole(self, data: bytes) -> bytes:
        """The bytes without secrets."""
        return self._pattern.sub(MASK.encode(), data)

    def split(self, data: bytes) -> tuple[bytes, bytes]:
        """What can be written, masked, and the open end, which what follows may make a secret of."""
        parts: list[bytes] = []
        start, end = 0, self._open_end(data, 0)
        for match in self._pattern.finditer(data):
            if match.start() >= end:
                break
            parts += (data[start : match.start()], MASK.encode())
            start = match.end()
            end = end if end >= start else self._open_end(data, start)
        parts.append(data[start:end])
        return b"".join(parts), data[end:]

    def _open_end(self, data: bytes, start: int) -> int:
        """The first place from which on all of the data is the beginning of a secret."""
        for place in range(max(start, len(data) - self._longest + 1), len(data)):
            if any(secret.startswith(data[place:]) for secret in self._encoded):
                return place
        return len(data)


class MaskedStream:
    """A stream without secrets; what may be the beginning of one waits for the rest."""

    def __init__(self, masking: Masking) -> None:
        self._masking = masking
        self._held = b""

    def part(self, data: bytes) -> bytes:
        """What can be written after this part."""
        if not self._masking.is_needed:
            return data
        masked, self._held = self._masking.split(self._held + data)
        return masked

    def rest(self) -> bytes:
        """What is left at the end."""
        held, self._held = self._held, b""
        return self._masking.whole(held) if held else b""
