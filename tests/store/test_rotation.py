"""Rotation of the master key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from penstock.definition.file_form import definition_of, parse_definition, to_file_form
from penstock.store import rotation
from penstock.store.database import Store, open_store
from penstock.store.keys import insert_key
from penstock.store.rotation import encrypt_again, write_key_file
from penstock.store.secrets import ENVIRONMENT, MasterKeyError, Secrets

LOOKS_LIKE_ONE = "encrypted:gAAAAnot-ours"
DEFINITION = definition_of(
    {
        "objects": [
            {"id": "Db", "name": "Db", "type": "JdbcDatabase", "*password": "geheim", "myText": LOOKS_LIKE_ONE},
        ],
        "values": {"*myToken": "hush"},
    }
)


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    url = request.getfixturevalue("postgresql_url") if request.param == "postgresql" else None
    with closing(open_store(url, tmp_path)) as made:
        yield made


def fill(store: Store, secrets: Secrets, keys: int = 1) -> None:
    secrets.tie(store)
    sealed = secrets.encrypt_definition(DEFINITION, None)
    with store.transaction() as tx:
        named = {"name": "n", "unique_id": "u", "description": None, "creator": "me", "owner": ""}
        tx.execute("insert_pipeline", pipeline_id="df-1", created_at=1, **named)
        body = json.dumps(to_file_form(sealed))
        tx.execute("put_definition", pipeline_id="df-1", version=1, body=body, errored=0, created_at=1, created_by="me")
        values = json.dumps({"*myToken": [secrets.encrypt("hush")]})
        moments = {"scheduled_at": 1, "start_at": None, "activated_at": 1, "activated_by": "me"}
        tx.execute("insert_activation", pipeline_id="df-1", number=1, version=1, parameter_values=values, **moments)
        for number in range(keys):
            insert_key(tx, secrets, 1, f"AK{number}", f"secret {number}", role="admin", name="", owner="")


def check(store: Store, secrets: Secrets, keys: int = 1) -> None:
    """Everything can be read."""
    secrets.tie(store)
    with store.snapshot() as tx:
        definition = tx.one("definition_by_version", pipeline_id="df-1", version=1)
        activation = tx.one("activation_by_number", pipeline_id="df-1", number=1)
        found = [tx.one("key_by_id", access_key=f"AK{number}") for number in range(keys)]
    assert definition is not None and activation is not None
    revealed = secrets.reveal_definition(parse_definition(definition["body"]))
    assert revealed.objects["Db"].text("*password") == "geheim"
    assert revealed.objects["Db"].text("myText") == LOOKS_LIKE_ONE
    assert secrets.reveal(json.loads(activation["parameter_values"])["*myToken"][0]) == "hush"
    for number, row in enumerate(found):
        assert row is not None and secrets.reveal(row["secret"]) == f"secret {number}"


def test_every_secret_is_encrypted_with_the_new_key_and_the_old_one_reads_none(store: Store, tmp_path: Path) -> None:
    old = Secrets(tmp_path)
    fill(store, old)
    (before,) = old.keys()
    new = Fernet.generate_key().decode()
    write_key_file(old.path, [new, before])
    check(store, Secrets(tmp_path))
    assert encrypt_again(store, Secrets(tmp_path)) == 4
    assert encrypt_again(store, Secrets(tmp_path)) == 0
    write_key_file(old.path, [new])
    assert old.path.stat().st_mode & 0o777 == 0o600
    check(store, Secrets(tmp_path))
    write_key_file(old.path, [before])
    with pytest.raises(MasterKeyError, match="not the one of the store's secrets"):
        Secrets(tmp_path).tie(store)


def test_a_rotation_that_is_broken_off_leaves_everything_readable_and_goes_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    old = Secrets(tmp_path)
    fill(store, old, keys=7)
    write_key_file(old.path, [Fernet.generate_key().decode(), *old.keys()])
    both, seen = Secrets(tmp_path), 0

    class Killed(Exception):
        pass

    def encrypt_some(secrets: Secrets, stored: str) -> str:
        nonlocal seen
        seen += 1
        if seen == 4:
            raise Killed
        return secrets.encrypt_again(stored)

    with monkeypatch.context() as broken, pytest.raises(Killed):
        broken.setattr(rotation, "_again", encrypt_some)
        encrypt_again(store, both)
    check(store, Secrets(tmp_path), keys=7)
    assert encrypt_again(store, Secrets(tmp_path)) == 10 - 2
    write_key_file(old.path, both.keys()[:1])
    check(store, Secrets(tmp_path), keys=7)


def test_keys_in_the_environment_are_separated_by_white_space(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    monkeypatch.setenv(ENVIRONMENT, old)
    fill(store, Secrets(tmp_path))
    monkeypatch.setenv(ENVIRONMENT, f"{old} {new}")
    check(store, Secrets(tmp_path))
    monkeypatch.setenv(ENVIRONMENT, f" {new}\n{old} ")
    assert encrypt_again(store, Secrets(tmp_path)) == 4
    monkeypatch.setenv(ENVIRONMENT, new)
    check(store, Secrets(tmp_path))
    assert not (tmp_path / "master.key").exists()
