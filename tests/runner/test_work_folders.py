"""The folders that attempts work in."""

from __future__ import annotations

from pathlib import Path

from penstock.runner.work_folders import WorkFolders


def test_two_attempts_at_once_have_two_folders(tmp_path: Path) -> None:
    folders = WorkFolders(tmp_path / "work")
    with folders.folder() as first, folders.folder() as second:
        assert first.path != second.path
        assert list(first.path.iterdir()) == []


def test_one_that_is_left_empty_serves_the_next_attempt(tmp_path: Path) -> None:
    folders = WorkFolders(tmp_path / "work")
    with folders.folder() as first:
        pass
    with folders.folder() as second:
        assert second.path == first.path
        (second.path / "left").touch()
    with folders.folder() as third:
        assert third.path != first.path
    assert not second.path.exists()


def test_one_that_was_removed_or_changed_is_not_used_again(tmp_path: Path) -> None:
    folders = WorkFolders(tmp_path / "work")
    with folders.folder() as first:
        first.path.rmdir()
    with folders.folder() as second:
        second.path.chmod(0o500)
    with folders.folder() as third:
        assert third.path.stat().st_mode & 0o777 == 0o700
        assert not second.path.exists()


def test_one_in_which_something_goes_on_is_removed(tmp_path: Path) -> None:
    folders = WorkFolders(tmp_path / "work")
    with folders.folder() as first:
        first.is_in_use = True
    assert not first.path.exists()


def test_none_is_left_when_the_runner_ends(tmp_path: Path) -> None:
    folders = WorkFolders(tmp_path / "work")
    with folders.folder():
        pass
    folders.close()
    assert list((tmp_path / "work").iterdir()) == []
