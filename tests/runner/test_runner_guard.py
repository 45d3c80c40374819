"""The process that ends a killed runner's commands."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from penstock.runner.guard import Guard
from processes import ended


@pytest.fixture
def command() -> Iterator[subprocess.Popen[bytes]]:
    """A command that would run on."""
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as process:
        yield process
        process.kill()


def test_what_runs_ends_with_the_guards_owner(command: subprocess.Popen[bytes]) -> None:
    guard = Guard()
    guard.begins(command.pid)
    guard.close()
    assert command.wait(20) == -9


def test_what_has_ended_is_left_alone(command: subprocess.Popen[bytes]) -> None:
    guard = Guard()
    for group in (command.pid, 2**22 + 1, 2**22 + 2):
        guard.begins(group)
    guard.ends(command.pid)
    guard.close()
    assert command.poll() is None


def test_a_guard_that_somebody_has_ended_is_replaced(command: subprocess.Popen[bytes]) -> None:
    guard = Guard()
    guard.begins(command.pid)
    assert guard._process is not None
    first = guard._process.pid
    guard._process.kill()
    assert ended(first)
    guard.begins(2**22 + 1)
    guard.close()
    assert command.wait(20) == -9
