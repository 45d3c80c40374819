"""The command `penstock` as people use it: processes in a folder, and a server among them."""

from __future__ import annotations

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from penstock.__main__ import main

PENSTOCK = Path(sys.executable).with_name("penstock")
LONGEST = 60.0


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed to standard output, as JSON."""
        return json.loads(self.out)


class Running:
    """A command that runs; its output is collected as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._text = {"out": "", "err": ""}
        self._news = threading.Condition()
        self._threads = [
            threading.Thread(target=self._collect, args=(name, stream), daemon=True)
            for name, stream in (("out", process.stdout), ("err", process.stderr))
        ]
        for thread in self._threads:
            thread.start()

    def _collect(self, name: str, stream: Any) -> None:
        with stream:
            for line in stream:
                with self._news:
                    self._text[name] += line
                    self._news.notify_all()

    def wait_for(self, text: str, *, where: str = "err") -> str:
        """Wait until the text was printed; gives everything printed there so far."""
        deadline = time.monotonic() + LONGEST
        with self._news:
            while text not in self._text[where]:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"'{text}' never came: {self._text}")
                self._news.wait(0.2)
            return self._text[where]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        self.process.send_signal(number)

    def end(self) -> Ended:
        """Wait for the end."""
        status = self.process.wait(LONGEST)
        for thread in self._threads:
            thread.join(LONGEST)
        return Ended(status, self._text["out"], self._text["err"])


class Shell:
    """Runs `penstock` in a folder, without anything of Penstock's or AWS's in the environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "PENSTOCK_"))}
        self.environment |= {"PYTHONWARNINGS": "error::DeprecationWarning", "COLUMNS": "200"}
        self.started: list[Running] = []

    def _options(self, environment: Mapping[str, str], folder: Path | None) -> dict[str, Any]:
        return {"cwd": folder or self.folder, "env": self.environment | environment, "text": True}

    def run(
        self,
        *arguments: object,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        before: tuple[str, ...] = (),
    ) -> Ended:
        """Run a command to its end."""
        command = [*before, str(PENSTOCK), *map(str, arguments)]
        options = self._options(environment or {}, folder)
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=LONGEST, **options)
        return Ended(done.returncode, done.stdout, done.stderr)

    def run_here(self, *arguments: object, environment: Mapping[str, str] | None = None) -> Ended:
        """Run a command in this process, which takes a tenth of the time; it must need no folder and no signals."""
        written = io.BytesIO(), io.BytesIO()
        out, err = (io.TextIOWrapper(stream, "utf-8", write_through=True) for stream in written)
        status: object = 0
        root, own = logging.getLogger(), logging.getLogger("penstock")
        levels, handlers = (root.level, own.level), list(root.handlers)
        with (
            patch.dict(os.environ, self.environment | (environment or {}), clear=True),
            patch.object(sys, "argv", ["penstock", *map(str, arguments)]),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                status = end.code or 0
            finally:  # a command may set up its own log
                root.handlers[:] = handlers
                root.setLevel(levels[0])
                own.setLevel(levels[1])
        assert isinstance(status, int)
        return Ended(status, *(stream.getvalue().decode() for stream in written))

    def start(self, *arguments: object, environment: Mapping[str, str] | None = None) -> Running:
        """Start a command; it is ended with the test."""
        process = subprocess.Popen(
            [str(PENSTOCK), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **self._options(environment or {}, None),
        )
        self.started.append(Running(process))
        return self.started[-1]

    def write(self, document: Any, name: str = "pipeline.json") -> Path:
        """Write a definition, or any other JSON."""
        path = self.folder / name
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    def close(self) -> None:
        """End what still runs."""
        for running in self.started:
            if running.process.poll() is None:
                running.process.kill()
            running.end()


@dataclass
class Server:
    """A server that runs, and what its user needs to talk to it."""

    running: Running
    endpoint: str
    environment: dict[str, str]

    def client(self) -> Any:
        """boto3's client."""
        import boto3

        from penstock.cli.credentials import read_credentials

        key = read_credentials(Path(self.environment["AWS_SHARED_CREDENTIALS_FILE"]))
        assert key is not None
        return boto3.client(
            "datapipeline",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=key.access_key,
            aws_secret_access_key=key.secret_key,
        )

    def stop(self) -> Ended:
        """End it by SIGTERM."""
        self.running.send(signal.SIGTERM)
        return self.running.end()
