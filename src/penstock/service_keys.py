"""The keys that a service makes for itself: the first one of a data directory, and those of its own task runners."""

from __future__ import annotations

import os
from pathlib import Path

from penstock.cli.credentials import FILE, credentials_text, read_credentials
from penstock.engine.engine import Engine
from penstock.store.keys import insert_key, new_key
from penstock.wire.sigv4 import Credentials


class UnusableKey(Exception):
    """The data directory's credentials file cannot be written, or nobody could use its key; the text says why."""


def add_key(engine: Engine, role: str, name: str, pipeline_id: str | None = None) -> Credentials:
    """A new key of the engine's owner; with a pipeline it reaches no other."""
    access_key, secret = new_key()
    made = Credentials(access_key, secret)
    _insert(engine, made, role, name, pipeline_id)
    return made


def delete_system_keys(engine: Engine, name: str) -> None:
    """Delete the keys with which the runner of the server of that name signed."""
    with engine.turn() as turn:
        turn.tx.execute("delete_system_keys", name=name)


def shared_key(engine: Engine, data_dir: Path) -> Credentials:
    """The key of the data directory's credentials file, which a first start makes.

    Raises UnusableKey, and NoCredentials where the file is there but cannot be read as one.
    """
    path = data_dir / FILE
    found = read_credentials(path)
    if found is not None:
        _insert(engine, found, "admin", "first key", None)  # unless it is there
        _check(engine, path, found)
        return found
    made = add_key(engine, "admin", "first key")
    text = credentials_text(made.access_key, made.secret_key)
    new = path.with_name(f"{FILE}.{os.getpid()}")  # nobody sees half of it, not even after a crash
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            stream.write(text)
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise UnusableKey(f"The file {path} cannot be written: {error.strerror}.") from error
    return made


def _insert(engine: Engine, key: Credentials, role: str, name: str, pipeline_id: str | None) -> None:
    with engine.turn() as turn:
        insert_key(
            turn.tx,
            engine.secrets,
            turn.now,
            key.access_key,
            key.secret_key,
            role=role,
            name=name,
            owner=engine.owner,
            pipeline_id=pipeline_id,
        )


def _check(engine: Engine, path: Path, found: Credentials) -> None:
    """Whoever is told to use the file must be let in by the store."""
    with engine.store.snapshot() as tx:
        row = tx.one("key_by_id", access_key=found.access_key)
    assert row is not None
    if row["revoked_at"] is not None:
        problem = "was revoked"
    elif engine.secrets.reveal(row["secret"]) != found.secret_key:
        problem = "has another secret in the store"
    else:
        return
    raise UnusableKey(
        f"The key {found.access_key} of {path} {problem}, so nobody could use it. Correct the file, or move it"
        " away: the next start makes a new key."
    )
