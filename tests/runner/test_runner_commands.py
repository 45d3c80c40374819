"""Commands: their groups end when they must, their output is kept, their environment is clean."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.objects.work import WorkFailed, WorkStopped
from penstock.runner import commands
from penstock.runner.commands import Stop, clean_environment, execute, own_environment
from penstock.runner.masking import Masking
from processes import ended


@pytest.fixture
def stop() -> Stop:
    return Stop()


@pytest.fixture
def start(tmp_path: Path, stop: Stop) -> Callable[..., int]:
    def start_command(*arguments: str, secrets: tuple[str, ...] = ()) -> int:
        return execute(
            arguments,
            environment={"PATH": os.environ["PATH"]},
            folder=tmp_path,
            stop=stop,
            masking=Masking(secrets),
            stdout=tmp_path / "StdOutput",
            stderr=tmp_path / "StdError",
        )

    return start_command


@pytest.fixture
def run(start: Callable[..., int]) -> Callable[..., int]:
    return lambda script, secrets=(): start("/bin/sh", "-c", script, secrets=secrets)


@pytest.fixture
def signpost(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "signpost"
    os.mkfifo(path)
    yield path


def stopped(run: Callable[[], int], stop: Stop, signpost: Path) -> list[int]:
    """Run a command that writes process ids into the signpost, stop it when it has, and give the ids."""
    pids: list[int] = []

    def watch() -> None:
        pids.extend(int(pid) for pid in signpost.read_text().split())
        stop.set("Enough.")

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(WorkStopped, match=r"Enough\."):
        run()
    watcher.join()
    return pids


def test_the_exit_status_is_given(run: Callable[..., int]) -> None:
    assert run("exit 7") == 7
    assert run("kill -9 $$") == -9


def test_output_goes_to_the_files_of_the_attempt(run: Callable[..., int], tmp_path: Path) -> None:
    run("echo out; echo err >&2")
    assert (tmp_path / "StdOutput").read_bytes() == b"out\n"
    assert (tmp_path / "StdError").read_bytes() == b"err\n"


def test_secrets_are_masked_in_both_outputs(run: Callable[..., int], tmp_path: Path) -> None:
    run("printf hun; printf 'ter2\\n'; echo hunter2 >&2", ("hunter2",))
    assert (tmp_path / "StdOutput").read_bytes() == b"*****\n"
    assert (tmp_path / "StdError").read_bytes() == b"*****\n"


def test_binary_output_is_kept_byte_by_byte(run: Callable[..., int], tmp_path: Path) -> None:
    for secrets in ((), ("hunter2",)):
        (tmp_path / "StdOutput").unlink(missing_ok=True)
        run(r"printf '\000\377\376'", secrets)
        assert (tmp_path / "StdOutput").read_bytes() == b"\x00\xff\xfe"


@pytest.mark.parametrize("secrets", [(), ("hunter2",)], ids=["without secrets", "with secrets"])
def test_stopping_ends_the_whole_process_group(
    run: Callable[..., int], stop: Stop, signpost: Path, secrets: tuple[str, ...]
) -> None:
    script = f"sleep 600 & echo $$ $! > {signpost}; wait"
    pids = stopped(lambda: run(script, secrets), stop, signpost)
    assert len(pids) == 2
    assert all(ended(pid) for pid in pids)


@pytest.mark.parametrize("secrets", [(), ("hunter2",)], ids=["without secrets", "with secrets"])
def test_a_command_and_its_child_that_ignore_sigterm_are_killed_after_the_grace(
    run: Callable[..., int], stop: Stop, signpost: Path, secrets: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "GRACE_SECONDS", 0.2)
    script = f"trap '' TERM; (trap '' TERM; sleep 600) & echo $$ $! > {signpost}; while :; do sleep 600; done"
    pids = stopped(lambda: run(script, secrets), stop, signpost)
    assert all(ended(pid) for pid in pids)


def test_a_child_that_outlives_its_stopped_parent_is_killed(
    run: Callable[..., int], stop: Stop, signpost: Path
) -> None:
    script = f"(trap '' TERM; while :; do sleep 600; done) & echo $$ $! > {signpost}; wait"
    pids = stopped(lambda: run(script), stop, signpost)
    assert all(ended(pid) for pid in pids)


def test_kill_ends_a_command_at_once_that_was_told_to_end(run: Callable[..., int], stop: Stop, signpost: Path) -> None:
    script = f"trap '' TERM; echo $$ > {signpost}; while :; do sleep 600; done"
    original = stop.set

    def set_and_kill(reason: str) -> None:
        original(reason)
        stop.kill()

    stop.set = set_and_kill  # type: ignore[method-assign]
    started = time.monotonic()
    pids = stopped(lambda: run(script), stop, signpost)
    assert all(ended(pid) for pid in pids)
    assert time.monotonic() - started < commands.GRACE_SECONDS / 2


def test_a_command_that_begins_after_the_stop_ends_at_once(run: Callable[..., int], stop: Stop) -> None:
    stop.set("Too late.")
    with pytest.raises(WorkStopped, match=r"Too late\."):
        run("sleep 600")


@pytest.mark.parametrize("secrets", [(), ("hunter2",)], ids=["without secrets", "with secrets"])
def test_a_background_process_that_holds_the_output_does_not_keep_the_command(
    run: Callable[..., int],
    signpost: Path,
    tmp_path: Path,
    secrets: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pids: list[int] = []
    watcher = threading.Thread(target=lambda: pids.extend(int(pid) for pid in signpost.read_text().split()))
    watcher.start()
    assert run(f"echo hunter2; sleep 600 & echo $! > {signpost}", secrets) == 0
    watcher.join()
    os.kill(pids[0], 9)  # it is still there
    assert (tmp_path / "StdOutput").read_text() == ("*****\n" if secrets else "hunter2\n")


def test_a_program_that_is_not_there_fails_with_its_name(start: Callable[..., int]) -> None:
    with pytest.raises(WorkFailed, match=r"could not be started.*/nowhere/program"):
        start("/nowhere/program")


def test_an_argument_with_a_null_byte_fails_the_attempt(start: Callable[..., int]) -> None:
    with pytest.raises(WorkFailed, match="null byte"):
        start("/bin/echo", "a\0b")


def test_embedded_commands_see_where_programs_are_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    monkeypatch.setenv("PENSTOCK_MASTER_KEY", "k")
    monkeypatch.setenv("MY_TOKEN", "t")
    seen = clean_environment()
    assert "PATH" in seen
    assert not {"AWS_ACCESS_KEY_ID", "PENSTOCK_MASTER_KEY", "MY_TOKEN"} & set(seen)


def test_commands_of_a_runner_of_ones_own_see_all_but_penstocks_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SHARED_CREDENTIALS_FILE", "PENSTOCK_MASTER_KEY")
    for name in (*hidden, "MY_TOKEN", "AWS_REGION"):
        monkeypatch.setenv(name, "x")
    seen = own_environment()
    assert {"MY_TOKEN", "AWS_REGION"} <= set(seen)
    assert not set(hidden) & set(seen)
