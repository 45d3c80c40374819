"""Services for the tests of the API."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_service import LONG_POLL, Api, running

from penstock.store import postgresql

_numbers = itertools.count(1)


@pytest.fixture
def group() -> str:
    """A worker group of the test's own."""
    return f"group-{next(_numbers)}"


@pytest.fixture(scope="session", autouse=True)
def quick_ends() -> Iterator[None]:
    """A service on PostgreSQL ends soon: whether it shall is looked at when nothing was heard for so long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgresql, "HEAR_SECONDS", 0.05)
        yield


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service that all tests share; each has pipelines and worker groups of its own."""
    yield from running(tmp_path_factory.mktemp("api") / "data", f"long_poll = {LONG_POLL}")


@pytest.fixture(scope="session")
def quick_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A service that tests share and whose polls are short: for task runners that work until there is no more."""
    yield from running(tmp_path_factory.mktemp("quick") / "data", "long_poll = 0.05")


@pytest.fixture
def fresh_api(tmp_path: Path) -> Iterator[Api]:
    """A service of the test's own, whose polls wait long."""
    yield from running(tmp_path / "data", "long_poll = 40")


@pytest.fixture(autouse=True)
def no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test sends, the service's log has no trace of an unexpected error."""
    yield
    traces = [record for record in caplog.get_records("call") if record.exc_info or record.levelno >= logging.ERROR]
    assert not traces, [record.getMessage() for record in traces]
