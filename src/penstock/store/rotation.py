"""Rotation of the master key: every secret of the store is encrypted again, with the first of the keys.

While it goes on, and where it was broken off, some secrets have the old key and some the new one; both keys read them.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any

from penstock.store.database import Store
from penstock.store.secrets import MasterKeyError, Secrets

BATCH = 200  # rows in one transaction
_TOKEN = re.compile(r"encrypted:[A-Za-z0-9_\-]+=*")
SECRETS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "access_keys": ("secrets_of_keys_for_update", "set_secret_of_key", ("access_key",)),
    "definitions": ("secrets_of_definitions_for_update", "set_secrets_of_definition", ("pipeline_id", "version")),
    "activations": ("secrets_of_activations_for_update", "set_secrets_of_activation", ("pipeline_id", "number")),
    "metadata": ("secrets_of_metadata_for_update", "set_secret_of_metadata", ("name",)),
}
"""By table: the queries that read and write what is encrypted in it, and its key."""
FIRST: dict[str, Any] = {"access_key": "", "pipeline_id": "", "version": -1, "number": -1, "name": ""}


def encrypt_again(store: Store, secrets: Secrets) -> int:
    """Encrypt every secret that the first key has not encrypted; gives the number of rows that changed."""
    changed = 0
    for read, write, key in SECRETS.values():
        after = {name: FIRST[name] for name in key}
        while True:
            with store.transaction() as tx:
                rows = tx.all(read, **after, limit=BATCH)
                for row in rows:
                    text = _TOKEN.sub(lambda match: _again(secrets, match[0]), row["text"])
                    if text != row["text"]:
                        tx.execute(write, text=text, **{name: row[name] for name in key})
                        changed += 1
            if len(rows) < BATCH:
                break
            after = {name: rows[-1][name] for name in key}
    return changed


def _again(secrets: Secrets, stored: str) -> str:
    try:
        return secrets.encrypt_again(stored)
    except MasterKeyError:  # nobody could read it before: a user's own text that looks like a secret of ours
        return stored


def write_key_file(path: Path, keys: list[str]) -> None:
    """Write a key file anew, for its owner only; a crash leaves the old one or the new one, whole."""
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write("\n".join(keys) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    Path(name).replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
