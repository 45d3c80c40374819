"""The logs of an attempt: files in the data directory, copied to `pipelineLogUri` in the service's layout."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import tempfile
import threading
from pathlib import Path
from time import monotonic
from typing import IO

from penstock.clock import Clock
from penstock.data.log_files import NAMES
from penstock.data.storage import Storage
from penstock.runner.masking import Masking

TAIL = 2000
REST = 10  # times as long as the last sending took: files are compressed whole each time, which must stay a small part


class AttemptLogs:
    """Activity.log, StdOutput and StdError of one attempt; a file is made when there is something to keep.

    What every attempt says, when it starts and how it ends, is noted and kept with what comes besides. Of one that is
    soon over and says nothing else there are no files, unless they are to go under the log URI.
    """

    def __init__(self, folder: Path, uri: str | None, storage: Storage, masking: Masking, clock: Clock) -> None:
        self.folder = folder
        self.uri = uri
        self.storage = storage
        self.masking = masking
        self.clock = clock
        self.is_failing = False  # whether sending failed before, which is worth one warning only
        self._sent: dict[str, int] = {}
        self._due = 0.0
        self._sending = threading.Lock()
        self._noting = threading.Lock()
        self._notes: list[str] = []

    @property
    def stdout(self) -> Path:
        """Where the command's output goes."""
        return self.folder / "StdOutput"

    @property
    def stderr(self) -> Path:
        """Where the command's error output goes."""
        return self.folder / "StdError"

    def note(self, text: str) -> None:
        """Have a line for Activity.log, to be written with the next one that is, or when the notes are kept."""
        moment = self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with self._noting:
            self._notes.append(f"{moment} {self.masking.text(text)}\n")

    def write(self, text: str) -> None:
        """Add a line to Activity.log."""
        self.note(text)
        self.keep()

    def keep(self) -> None:
        """Write what was noted; what finds no room on the disk is tried again with the next, since the work counts."""
        with self._noting, contextlib.suppress(OSError):
            if self._notes:
                with self.open("Activity.log") as stream:
                    stream.write("".join(self._notes).encode("utf-8", "replace"))
                self._notes.clear()

    def end(self) -> None:
        """Keep the notes of an attempt that has ended, if it has left anything else, or its logs go elsewhere too."""
        if self.uri is not None or self.folder.is_dir():
            self.keep()

    def open(self, name: str) -> IO[bytes]:
        """A log to add to."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return (self.folder / name).open("ab")

    def size(self, name: str) -> int:
        """The bytes that a log has by now."""
        try:
            return (self.folder / name).stat().st_size
        except FileNotFoundError:
            return 0

    def tail(self) -> str:
        """The end of what the command wrote, errors first choice."""
        for path in (self.stderr, self.stdout, self.folder / "Activity.log"):
            if not path.exists():
                continue
            with path.open("rb") as stream:
                stream.seek(max(0, path.stat().st_size - TAIL))
                text = stream.read().decode("utf-8", "replace").strip()
            if text:
                return self.masking.text(text)
        return ""

    def send(self) -> None:
        """Put the files that have grown under the log URI, compressed; one thread at a time, so that none goes back."""
        if self.uri is None:
            return
        self.keep()
        with self._sending:
            began = monotonic()
            try:
                for name in NAMES:
                    size = self.size(name)
                    if self._sent.get(name) != size:
                        self._send(name)
                        self._sent[name] = size
            finally:
                ended = monotonic()
                self._due = ended + REST * (ended - began)

    def send_if_due(self) -> None:
        """The same while the work goes on: logs that take long to send then rest for REST times as long."""
        if monotonic() >= self._due:
            self.send()

    def _send(self, name: str) -> None:
        with tempfile.TemporaryFile() as packed:
            with (
                self.open(name),  # an empty one is sent as well
                (self.folder / name).open("rb") as stream,
                gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as archive,
            ):
                shutil.copyfileobj(stream, archive)
            packed.seek(0)
            with self.storage.create(f"{self.uri}/{name}.gz") as target:
                shutil.copyfileobj(packed, target)
