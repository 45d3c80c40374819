"""Keeping secrets out of logs, messages and reports."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import IO

MASK = "*****"
CHUNK = 65536


class Masking:
    """Replaces every secret of a task by `*****`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.secrets = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        lines = {line for secret in self.secrets for line in secret.splitlines() if len(line) > 3}
        self._encoded = sorted({s.encode() for s in (*self.secrets, *lines)}, key=len, reverse=True)

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to mask."""
        return bool(self.secrets)

    def text(self, text: str) -> str:
        """The text without secrets."""
        return self.data(text.encode("utf-8", "replace")).decode("utf-8", "replace") if self.secrets else text

    def data(self, data: bytes) -> bytes:
        """The bytes without secrets."""
        for secret in self._encoded:
            data = data.replace(secret, MASK.encode())
        return data

    def copy(self, source: IO[bytes], target: IO[bytes]) -> None:
        """Copy a stream without secrets; what might be the beginning of one waits for the rest."""
        held = b""
        longest = max((len(secret) for secret in self._encoded), default=1)
        with contextlib.suppress(ValueError):  # the file was closed: what comes from a left-over process is dropped
            while chunk := source.read1(CHUNK):  # type: ignore[attr-defined]
                held = self.data(held + chunk)
                keep = self._open_end(held, longest)
                target.write(held[: len(held) - keep])
                target.flush()
                held = held[len(held) - keep :]
            target.write(held)
            target.flush()

    def _open_end(self, data: bytes, longest: int) -> int:
        for length in range(min(longest - 1, len(data)), 0, -1):
            end = data[-length:]
            if any(secret.startswith(end) for secret in self._encoded):
                return length
        return 0
