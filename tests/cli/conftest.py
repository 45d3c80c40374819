"""Fixtures for tests of the command `penstock`: a folder for each, and servers in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from penstock_command import Server, Shell


@pytest.fixture
def shell(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shell]:
    """A folder of the test's own to run commands in; they end before a database that they use is emptied."""
    if "new_postgresql_url" in request.fixturenames:
        request.getfixturevalue("new_postgresql_url")
    with closing(Shell(tmp_path)) as made:
        yield made


@pytest.fixture
def start_server(shell: Shell) -> Callable[..., Server]:
    """Starts a server on the shell's data directory, on a free port if none is given."""

    def start(*arguments: object, port: int = 0) -> Server:
        running = shell.start("server", "--port", port, "--data-dir", shell.data, *arguments)
        text = running.wait_for("AWS_ENDPOINT_URL_DATA_PIPELINE=http", where="out")
        found = dict(re.findall(r"export (\w+)=(\S+)", text))
        return Server(running, found["AWS_ENDPOINT_URL_DATA_PIPELINE"], found)

    return start
