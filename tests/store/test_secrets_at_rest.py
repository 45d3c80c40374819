"""The master key, and secrets at rest."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path

import pytest

from penstock.definition.file_form import definition_of
from penstock.store.database import open_store
from penstock.store.secrets import ENVIRONMENT, MASK, MasterKeyError, Secrets, masked

DEFINITION = definition_of(
    {
        "objects": [{"id": "Db", "name": "Db", "type": "JdbcDatabase", "username": "u", "*password": "geheim"}],
        "parameters": [{"id": "*myToken", "type": "String", "default": "fallback"}, {"id": "myWord", "type": "String"}],
        "values": {"*myToken": "hush", "myWord": "loud"},
    }
)


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)


def test_what_is_encrypted_comes_back_and_shows_nothing(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    stored = secrets.encrypt("geheim 日本語")
    assert "geheim" not in stored
    assert secrets.reveal(stored) == "geheim 日本語"
    assert Secrets(tmp_path).reveal(stored) == "geheim 日本語"
    assert secrets.reveal("in clear") == "in clear"


def test_the_key_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    Secrets(tmp_path).encrypt("x")
    path = tmp_path / "master.key"
    made = path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    Secrets(tmp_path).encrypt("y")
    assert path.read_bytes() == made
    assert [entry.name for entry in tmp_path.iterdir()] == ["master.key"]


def test_several_that_begin_at_once_agree_on_one_key(tmp_path: Path) -> None:
    start = threading.Barrier(4, timeout=30)
    stored: list[str] = []

    def encrypt() -> None:
        secrets = Secrets(tmp_path)
        start.wait()
        stored.append(secrets.encrypt("x"))

    threads = [threading.Thread(target=encrypt) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [Secrets(tmp_path).reveal(text) for text in stored] == ["x"] * 4


def test_the_environments_key_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "A" * 43 + "=")
    stored = Secrets(tmp_path).encrypt("x")
    assert list(tmp_path.iterdir()) == []
    assert Secrets(tmp_path / "elsewhere").reveal(stored) == "x"
    monkeypatch.delenv(ENVIRONMENT)
    with pytest.raises(MasterKeyError, match="not the one that this secret was encrypted with"):
        Secrets(tmp_path).reveal(stored)


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "master.key").write_text("too short")
    with pytest.raises(MasterKeyError, match="no Fernet key"):
        Secrets(tmp_path).encrypt("x")


def test_a_definition_keeps_its_secrets_encrypted_and_shows_none(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    sealed = secrets.encrypt_definition(DEFINITION, None)
    for word in ("geheim", "hush", "fallback"):
        assert word not in repr(sealed)
        assert word not in repr(masked(sealed))
    assert "loud" in repr(sealed)
    assert masked(sealed).objects["Db"].text("*password") == MASK
    assert secrets.reveal_definition(sealed) == DEFINITION


def test_a_mask_that_is_put_back_keeps_what_is_stored(tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    sealed = secrets.encrypt_definition(DEFINITION, None)
    again = secrets.encrypt_definition(masked(sealed), sealed)
    assert again == sealed
    assert secrets.reveal_definition(again) == DEFINITION


def test_a_store_knows_its_master_key_and_takes_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(open_store(None, tmp_path)) as store:
        Secrets(tmp_path).tie(store)
        Secrets(tmp_path).tie(store)
        path = tmp_path / "master.key"
        kept = path.read_bytes()
        path.unlink()
        with pytest.raises(MasterKeyError, match=rf"there is none.*{path}.*\$PENSTOCK_MASTER_KEY"):
            Secrets(tmp_path).tie(store)
        assert not path.exists(), "a new key would only hide that the old one is missing"
        path.write_text("A" * 43 + "=")
        with pytest.raises(MasterKeyError, match=rf"in {path} is not the one.*\$PENSTOCK_MASTER_KEY"):
            Secrets(tmp_path).tie(store)
        path.write_bytes(kept)
        monkeypatch.setenv(ENVIRONMENT, "B" * 43 + "=")
        with pytest.raises(MasterKeyError, match=rf"in \$PENSTOCK_MASTER_KEY is not the one.*{path}"):
            Secrets(tmp_path).tie(store)
        monkeypatch.setenv(ENVIRONMENT, kept.decode())
        Secrets(tmp_path / "elsewhere").tie(store)
