"""The logs of an attempt: files in the data directory, copied to `pipelineLogUri` in the service's layout."""

from __future__ import annotations

import gzip
import shutil
import tempfile
import threading
from pathlib import Path
from time import monotonic

from penstock.clock import Clock
from penstock.data.log_files import NAMES
from penstock.data.storage import Storage
from penstock.runner.masking import Masking

TAIL = 2000
REST = 10  # times as long as the last sending took: files are compressed whole each time, which must stay a small part


class AttemptLogs:
    """Activity.log, StdOutput and StdError of one attempt."""

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
        folder.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            (folder / name).touch()

    @property
    def stdout(self) -> Path:
        """Where the command's output goes."""
        return self.folder / "StdOutput"

    @property
    def stderr(self) -> Path:
        """Where the command's error output goes."""
        return self.folder / "StdError"

    def write(self, text: str) -> None:
        """Add a line to Activity.log."""
        moment = self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        with (self.folder / "Activity.log").open("a", encoding="utf-8") as stream:
            stream.write(f"{moment} {self.masking.text(text)}\n")

    def tail(self) -> str:
        """The end of what the command wrote, errors first choice."""
        for path in (self.stderr, self.stdout, self.folder / "Activity.log"):
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
        with self._sending:
            began = monotonic()
            try:
                for name in NAMES:
                    size = (self.folder / name).stat().st_size
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
                (self.folder / name).open("rb") as stream,
                gzip.GzipFile(filename="", fileobj=packed, mode="wb", mtime=0) as archive,
            ):
                shutil.copyfileobj(stream, archive)
            packed.seek(0)
            with self.storage.create(f"{self.uri}/{name}.gz") as target:
                shutil.copyfileobj(packed, target)
