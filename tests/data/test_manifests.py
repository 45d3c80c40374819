"""Redshift's manifests, which name the files of a load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.data.local_folder import LocalFolder
from penstock.data.manifests import ManifestEntry, manifest_objects, read_manifest
from penstock.data.storage import NoSuchKey, StorageError

URI = "s3://bucket/load.manifest"


@pytest.fixture
def storage(tmp_path: Path) -> LocalFolder:
    made = LocalFolder(tmp_path)
    for key, data in (("part-0", b"1\n"), ("part-1", b"22\n")):
        with made.create(f"s3://bucket/{key}") as stream:
            stream.write(data)
    return made


def write(storage: LocalFolder, document: Any) -> None:
    with storage.create(URI) as stream:
        stream.write(document if isinstance(document, bytes) else json.dumps(document).encode())


def test_a_manifest_names_files_in_its_order(storage: LocalFolder) -> None:
    write(
        storage,
        {
            "entries": [
                {"url": "s3://bucket/part-1", "mandatory": True, "meta": {"content_length": 3}},
                {"url": "s3://bucket/part-0"},
            ]
        },
    )
    assert read_manifest(storage, URI) == [
        ManifestEntry("s3://bucket/part-1", True, 3),
        ManifestEntry("s3://bucket/part-0"),
    ]
    assert [(entry.uri, entry.size) for entry in manifest_objects(storage, URI)] == [
        ("s3://bucket/part-1", 3),
        ("s3://bucket/part-0", 2),
    ]


def test_a_missing_file_is_left_out_unless_it_is_mandatory(storage: LocalFolder) -> None:
    write(storage, {"entries": [{"url": "s3://bucket/gone"}, {"url": "s3://bucket/part-0"}]})
    assert [entry.uri for entry in manifest_objects(storage, URI)] == ["s3://bucket/part-0"]
    write(storage, {"entries": [{"url": "s3://bucket/gone", "mandatory": True}]})
    with pytest.raises(NoSuchKey, match="s3://bucket/gone, which is mandatory in the manifest s3://bucket/load"):
        list(manifest_objects(storage, URI))
    write(storage, {"entries": [{"url": "s3://bucket/gone"}]})
    with pytest.raises(NoSuchKey, match="None of the objects"):
        list(manifest_objects(storage, URI))


def test_a_file_of_another_size_than_the_manifest_says_is_refused(storage: LocalFolder) -> None:
    write(storage, {"entries": [{"url": "s3://bucket/part-0", "meta": {"content_length": 3}}]})
    with pytest.raises(StorageError, match="part-0 has 2 bytes, and 3 by the manifest"):
        list(manifest_objects(storage, URI))


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"{", "is no JSON"),
        (b"\xff", "is no JSON"),
        ([], "names no files"),
        ({"entries": []}, "names no files"),
        ({"entries": {}}, "names no files"),
        ({"entries": ["s3://bucket/part-0"]}, "Entry 1 of the manifest .* has no url"),
        ({"entries": [{"url": "part-0"}]}, "Entry 1 of .*'part-0' is not the URI of an S3 object"),
        ({"entries": [{"url": "s3://bucket/part-0", "mandatory": "yes"}]}, "mandatory must be true or false"),
    ],
)
def test_a_wrong_manifest_says_what_is_wrong(storage: LocalFolder, document: Any, problem: str) -> None:
    write(storage, document)
    with pytest.raises(StorageError, match=problem):
        read_manifest(storage, URI)


def test_a_missing_manifest_is_named(storage: LocalFolder) -> None:
    with pytest.raises(NoSuchKey, match=r"There is no object s3://bucket/load\.manifest"):
        read_manifest(storage, URI)
