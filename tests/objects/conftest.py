"""Real work for objects: a folder of its own, the embedded storage, and commands in processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from penstock.data.local_folder import LocalFolder
from penstock.definition.conversion import convert
from penstock.definition.file_form import definition_of
from penstock.definition.validate import validate
from penstock.objects import load_catalogue
from penstock.objects.work import Work
from penstock.runner.commands import Stop, clean_environment, execute
from penstock.runner.masking import Masking


class Workshop:
    """Makes objects of a definition and gives them work; keeps what they log and report."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder
        self.storage = LocalFolder(folder / "s3")
        self.stop = Stop()
        self.logged: list[str] = []
        self.reported: dict[str, str] = {}
        self.databases: dict[str, Any] = {}
        self.count = 0

    def work(self) -> Work:
        """One more attempt."""
        self.count += 1
        folder = self.data_dir / f"attempt{self.count}"
        folder.mkdir()
        stdout, stderr = self.data_dir / f"out{self.count}", self.data_dir / f"err{self.count}"
        return Work(
            pipeline_id="df-1",
            attempt_id=f"@A_Attempt={self.count}",
            folder=folder,
            storage=self.storage,
            execute=partial(execute, stop=self.stop, masking=Masking([]), stdout=stdout, stderr=stderr),
            log=self.logged.append,
            stopped=self.stop.event,
            environment=clean_environment(),
            stdout=stdout,
            stderr=stderr,
            data_dir=self.data_dir,
            databases=self.databases,
            report=self.reported.update,
        )

    def object(self, *objects: dict[str, Any]) -> Any:
        """The first object, converted as a runner does; what it would lack in a definition is filled in."""
        default = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "g"}
        verdict = validate(definition_of({"objects": [*objects, default]}), load_catalogue())
        assert verdict.errors == ()
        return convert(verdict.resolved.objects, objects[0]["id"], load_catalogue())

    def put(self, uri: str, content: str | bytes) -> None:
        """Make an object in storage."""
        with self.storage.create(uri) as stream:
            stream.write(content if isinstance(content, bytes) else content.encode())

    def get(self, uri: str) -> bytes:
        """The bytes of an object in storage."""
        with self.storage.open(uri) as stream:
            return stream.read()

    def text(self, uri: str) -> str:
        """The text of an object in storage."""
        return self.get(uri).decode()

    def uris(self, prefix: str) -> list[str]:
        """The objects in storage whose URI begins with this."""
        return [entry.uri for entry in self.storage.list(prefix)]


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """A workshop in a folder of its own."""
    return Workshop(tmp_path)


@pytest.fixture
def sqlite() -> dict[str, str]:
    """A JdbcDatabase in the data directory."""
    return {
        "id": "B",
        "type": "JdbcDatabase",
        "connectionString": "jdbc:sqlite:test.db",
        "jdbcDriverClass": "org.sqlite.JDBC",
        "username": "nobody",
        "*password": "nothing",
    }


Make = Callable[..., Any]
