"""The embedded storage as people see it in a file manager."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.data import local_names
from penstock.data.local_folder import LocalFolder
from penstock.data.storage import StorageError


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    return LocalFolder(tmp_path / "s3")


def put(folder: LocalFolder, uri: str, data: bytes = b"x") -> None:
    with folder.create(uri) as stream:
        stream.write(data)


def files(folder: LocalFolder) -> list[str]:
    paths = [path.relative_to(folder.root) for path in folder.root.rglob("*") if path.is_file()]
    return sorted(str(path) for path in paths if path.parts[0] != ".writing")


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("sales/2013-01-01 10:00:00.csv", "sales/2013-01-01 10:00:00.csv"),
        ("naïve/part#1?.csv", "naïve/part#1?.csv"),
        ("100%.csv", "100%.csv"),
        ("a%20b", "a%20b"),
        ("a//b", "a/%_/b"),
        ("dir/", "dir/%_"),
        ("./..", "%2E/%2E."),
        ("a\nb", "a%0Ab"),
        ("50%", "50%25"),
        ("50%0A", "50%250A"),
        ("L" * 300, "L" * 251 + "%~/+" + "L" * 49),
    ],
)
def test_a_key_has_its_natural_name_where_it_can(folder: LocalFolder, key: str, path: str) -> None:
    put(folder, f"s3://bucket/{key}")
    assert files(folder) == [f"bucket/{path}"]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_a_segment_and_its_name_mean_each_other(segment: str) -> None:
    segment = segment.replace("/", "")
    name = local_names.segment_to_path(segment)
    assert name not in ("", ".", "..") and "\0" not in name
    assert local_names.name_to_segment(name) == segment


@given(st.text("%aL.~_+2E50\n", max_size=8))
def test_two_keys_never_share_a_name(name: str) -> None:
    segment = local_names.name_to_segment(name)
    assert segment is None or local_names.segment_to_path(segment) == name


def test_an_object_beside_a_folder_of_its_name_is_marked(folder: LocalFolder) -> None:
    put(folder, "s3://bucket/a", b"1")
    put(folder, "s3://bucket/a/b", b"2")
    put(folder, "s3://bucket/a", b"3")
    assert files(folder) == ["bucket/a%", "bucket/a/b"]
    folder.delete("s3://bucket/a")
    assert files(folder) == ["bucket/a/b"]


def test_a_file_that_is_dropped_in_is_an_object(folder: LocalFolder) -> None:
    (folder.root / "bucket" / "in").mkdir(parents=True)
    (folder.root / "bucket" / "in" / "my file%.csv").write_text("1\n")
    assert [entry.uri for entry in folder.list("s3://bucket/in/")] == ["s3://bucket/in/my file%.csv"]
    with folder.open("s3://bucket/in/my file%.csv") as stream:
        assert stream.read() == b"1\n"


def test_a_file_dropped_in_beside_a_marked_object_wins(folder: LocalFolder) -> None:
    put(folder, "s3://bucket/a/b")
    put(folder, "s3://bucket/a", b"old")
    folder.delete("s3://bucket/a/b")
    (folder.root / "bucket" / "a").write_bytes(b"dropped")
    assert [entry.size for entry in folder.list("s3://bucket/")] == [7]
    folder.delete("s3://bucket/a")
    assert not folder.exists("s3://bucket/a")


def test_deleting_the_last_object_removes_its_folders_but_not_the_bucket(folder: LocalFolder) -> None:
    put(folder, "s3://bucket/a/b/c")
    folder.delete("s3://bucket/a/b/c")
    assert list((folder.root / "bucket").iterdir()) == []


@pytest.mark.parametrize("name", ["a%25b", "line\nfeed", "x%~", "%2Fold", os.fsdecode(b"caf\xe9")])
def test_a_file_whose_name_no_key_has_is_named(folder: LocalFolder, name: str) -> None:
    (folder.root / "bucket").mkdir(parents=True)
    (folder.root / "bucket" / name).touch()
    if name == "%2Fold":
        assert [entry.uri for entry in folder.list("s3://bucket/")] == ["s3://bucket/%2Fold"]
        return
    with pytest.raises(StorageError, match=r"has a name that no key has.*Rename it"):
        list(folder.list("s3://bucket/"))


def test_a_symbolic_link_is_not_followed(folder: LocalFolder, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (folder.root / "bucket").mkdir(parents=True)
    (folder.root / "bucket" / "link").symlink_to(tmp_path / "outside")
    for uri in ("s3://bucket/link/secret", "s3://bucket/link"):
        with pytest.raises(StorageError, match="symbolic link"):
            folder.open(uri)
    with pytest.raises(StorageError, match="symbolic link"):
        put(folder, "s3://bucket/link/new")
    with pytest.raises(StorageError, match="symbolic link"):
        list(folder.list("s3://bucket/"))
    with pytest.raises(StorageError, match="symbolic link"):
        list(folder.list("s3://bucket/link/"))
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret"]
    assert list((folder.root / ".writing").glob("[0-9a-f]*")) == []


def test_what_a_dead_writer_left_is_removed_after_a_day(folder: LocalFolder) -> None:
    writing = folder.root / ".writing"
    writing.mkdir(parents=True)
    for name, age in (("old", 2 * 86400), ("young", 3600)):
        (writing / name).touch()
        changed = (writing / name).stat().st_mtime - age
        os.utime(writing / name, (changed, changed))
    put(folder, "s3://bucket/a")
    assert sorted(path.name for path in writing.iterdir()) == ["lock", "young"]


def test_nothing_is_made_before_the_first_write(folder: LocalFolder) -> None:
    assert list(folder.list("s3://bucket/")) == []
    folder.delete("s3://bucket/a")
    assert not folder.root.exists()
