"""Manifests of Amazon Redshift: a JSON object that names the files of a load.

    {"entries": [{"url": "s3://bucket/part-0", "mandatory": true}, {"url": "s3://bucket/part-1"}]}

`mandatory` is false where it is left out; `meta` (content_length, which UNLOAD writes) is checked if it is there.
Source: the page "Using a manifest to specify data files" of Redshift's guide.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from penstock.data.storage import Entry, NoSuchKey, Storage, StorageError, parse_object_uri

LARGEST = 64 * 1024 * 1024
"""The most bytes of a manifest."""


@dataclass(frozen=True)
class ManifestEntry:
    """One file of a load; `size` in bytes, None where the manifest does not say it."""

    url: str
    mandatory: bool = False
    size: int | None = None


def read_manifest(storage: Storage, uri: str) -> list[ManifestEntry]:
    """The entries in their order. Raises `NoSuchKey`, and `StorageError` with what is wrong and where."""
    with storage.open(uri) as stream:
        text = stream.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise StorageError(f"The manifest {uri} has more than {LARGEST:,} bytes.", uri=uri)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StorageError(f"The manifest {uri} is no JSON: {error}.", uri=uri) from None
    entries = document.get("entries") if isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        raise StorageError(
            f"The manifest {uri} names no files.",
            uri=uri,
            remedy='Write {"entries": [{"url": "s3://bucket/key", "mandatory": true}]}.',
        )
    return [_entry(entry, f"Entry {number} of the manifest {uri}", uri) for number, entry in enumerate(entries, 1)]


def manifest_objects(storage: Storage, uri: str) -> Iterator[Entry]:
    """The objects that a manifest names, in its order; one that is missing and not mandatory is left out.

    Raises `NoSuchKey` for a mandatory one, and where none of all is there.
    """
    is_empty = True
    for entry in read_manifest(storage, uri):
        try:
            found = storage.head(entry.url)
        except NoSuchKey:
            if entry.mandatory:
                raise NoSuchKey(
                    entry.url, f"There is no object {entry.url}, which is mandatory in the manifest {uri}."
                ) from None
            continue
        if entry.size is not None and entry.size != found.size:
            raise StorageError(
                f"{entry.url} has {found.size} bytes, and {entry.size} by the manifest {uri}.", uri=entry.url
            )
        is_empty = False
        yield found
    if is_empty:
        raise NoSuchKey(uri, f"None of the objects that the manifest {uri} names is there.")


def _entry(entry: Any, where: str, uri: str) -> ManifestEntry:
    url = entry.get("url") if isinstance(entry, dict) else None
    if not isinstance(url, str):
        raise StorageError(f"{where} has no url.", uri=uri)
    try:
        parse_object_uri(url)
    except StorageError as error:
        raise StorageError(f"{where}: {error}", uri=uri) from None
    mandatory = entry.get("mandatory", False)
    if not isinstance(mandatory, bool):
        raise StorageError(f"{where}: mandatory must be true or false.", uri=uri)
    meta = entry.get("meta")
    size = meta.get("content_length") if isinstance(meta, dict) else None
    return ManifestEntry(url, mandatory, size if isinstance(size, int) else None)
