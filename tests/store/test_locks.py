"""Files that are held while a process lives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from penstock.locks import hold, hold_abandoned

HOLD = (
    "import sys, pathlib, penstock.locks as l; h = l.hold(pathlib.Path(sys.argv[1])); print(h is not None, flush=True)"
)


def test_a_file_is_held_once(tmp_path: Path) -> None:
    first = hold(tmp_path / "name")
    assert first is not None
    assert first.name == "name"
    assert hold(tmp_path / "name") is None
    first.let_go()
    first.let_go()
    second = hold(tmp_path / "name")
    assert second is not None
    second.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "name"
    command = [sys.executable, "-c", f"{HOLD}; sys.stdin.read()", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        assert hold(path) is None
        process.kill()
    held = hold(path)
    assert held is not None
    held.let_go()


def test_commands_that_are_started_do_not_keep_it(tmp_path: Path) -> None:
    held = hold(tmp_path / "name")
    assert held is not None
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE):
        held.let_go()
        again = hold(tmp_path / "name")
        assert again is not None
        again.let_go()


def test_the_files_that_nobody_holds_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    assert hold_abandoned(folder) == []
    for name in ("b", "a", "c"):
        (folder / name).touch()
    living = hold(folder / "b")
    assert living is not None
    found = hold_abandoned(folder)
    assert [file.name for file in found] == ["a", "c"]
    for file in (living, *found):
        file.remove()


def test_many_can_share_a_file_or_one_has_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "in-use"
    first, second = hold(path, shared=True), hold(path, shared=True)
    assert first is not None
    assert second is not None
    assert hold(path) is None
    first.let_go()
    assert hold(path) is None
    second.let_go()
    alone = hold(path)
    assert alone is not None
    assert hold(path, shared=True) is None
    alone.let_go()
