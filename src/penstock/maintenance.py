"""What is done to a whole service, on its store and data directory: backup, restore, rotation of the master key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import ZipFile

from penstock import __version__
from penstock.cli.composition import BackupOptions, MaintenanceRefused
from penstock.cli.credentials import FILE
from penstock.clock import SystemClock, to_field
from penstock.locks import IN_USE, hold
from penstock.store.backup import BackupError, check_empty, new_archive, read_contents, restore_tables, write_backup
from penstock.store.database import Store, StoreError, open_store
from penstock.store.rotation import encrypt_again, write_key_file
from penstock.store.secrets import ENVIRONMENT, MasterKeyError, Secrets

KEY, LOGS = "files/master.key", "files/logs/"
CREDENTIALS = f"files/{FILE}"


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except (BackupError, StoreError, MasterKeyError) as error:
        raise MaintenanceRefused(str(error)) from error
    except OSError as error:
        raise MaintenanceRefused(f"{error.filename or 'The data directory'}: {error.strerror}.") from error


@contextmanager
def _alone(data_dir: Path, what: str) -> Iterator[None]:
    """Keep servers from the data directory; refused while one is there."""
    held = hold(data_dir / IN_USE)
    if held is None:
        raise MaintenanceRefused(f"A server or a run uses {data_dir}. End it first: {what}.")
    try:
        yield
    finally:
        held.let_go()


def backup(options: BackupOptions) -> list[str]:
    """Write a backup, whether or not a server runs; gives what to tell. Raises MaintenanceRefused."""
    with _refusing(), closing(_existing_store(options.store, options.data_dir)) as store:
        if options.file.exists():
            raise MaintenanceRefused(f"{options.file} exists, and a backup overwrites nothing. Give another name.")
        part = options.file.with_name(f"{options.file.name}.part-{os.getpid()}")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                with new_archive(stream) as archive:
                    counts = _write(store, archive, options)
                stream.flush()
                os.fsync(stream.fileno())
            part.rename(options.file)
        finally:
            part.unlink(missing_ok=True)
    held = f"{_counted(counts['pipelines'], 'pipeline')}, {_counted(counts['instances'], 'instance')}"
    told = [f"{options.file}: {held}, {options.file.stat().st_size:,} bytes."]
    if options.with_key:
        return [*told, "It holds the master key and the first access key: keep it as you keep those."]
    return [*told, "The master key is not in it, and without that its secrets cannot be read: keep a copy elsewhere."]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _existing_store(url: str | None, data_dir: Path) -> Store:
    """The store as it is, not migrated: its server may be older."""
    if url is None and not (data_dir / "penstock.db").exists():
        raise _no_store(data_dir)
    store = open_store(url, data_dir, schema=0)
    if not store.schema:
        store.close()
        raise MaintenanceRefused("There is no store in this database yet; a first `penstock server` makes it.")
    return store


def _no_store(data_dir: Path) -> MaintenanceRefused:
    return MaintenanceRefused(
        f"There is no store in {data_dir}. Name the server's data directory with --data-dir, or its --store."
    )


def _write(store: Store, archive: ZipFile, options: BackupOptions) -> dict[str, int]:
    made = to_field(SystemClock().now())
    counts = write_backup(store, archive, {"version": __version__, "made": made, "hasKey": options.with_key})
    if options.with_key:
        secrets = Secrets(options.data_dir)
        if not secrets.is_given:
            raise MaintenanceRefused(f"There is no master key to put in: neither {secrets.path} nor ${ENVIRONMENT}.")
        archive.writestr(KEY, "\n".join(secrets.keys()) + "\n")
        if (options.data_dir / FILE).exists():
            archive.write(options.data_dir / FILE, CREDENTIALS)
    if options.with_logs:
        top = options.data_dir / "logs"
        for path in sorted(top.rglob("*")):
            if path.is_file():
                archive.write(path, LOGS + path.relative_to(top).as_posix())
    return counts


def restore(options: BackupOptions) -> list[str]:
    """Fill an empty store with a backup; gives what to tell. Raises MaintenanceRefused."""
    with _refusing():
        options.data_dir.mkdir(parents=True, exist_ok=True)
        with (
            _alone(options.data_dir, "a restore needs a data directory of its own"),
            _opened(options.file) as stream,
        ):
            archive, contents = read_contents(stream, str(options.file))
            files = _files(archive, options.data_dir)
            with closing(open_store(options.store, options.data_dir, schema=contents["schema"])) as store:
                check_empty(store)
                if store.schema != contents["schema"]:
                    raise MaintenanceRefused(
                        f"The empty store has the schema {store.schema}, the backup {contents['schema']}."
                        " Give a new data directory with --data-dir, or a new database with --store."
                    )
                for path, name in files.items():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.touch(mode=0o600 if not name.startswith(LOGS) else 0o666)
                    path.write_bytes(archive.read(name))
                counts = restore_tables(store, archive, contents["schema"])
            with closing(open_store(options.store, options.data_dir)) as store:  # migrated to this Penstock's schema
                _release_runs(store)
                key = _told_of_key(store, Secrets(options.data_dir))
    return [
        f"{_counted(counts['pipelines'], 'pipeline')} and {_counted(counts['instances'], 'instance')}"
        f" of {contents['made']} are in the store.",
        key,
        "What ran then is handed out again when its lease ends: work that was done after the backup is done again.",
    ]


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise MaintenanceRefused(
            f"{file} cannot be read: {error.strerror}. Give the file that `penstock backup` has written."
        ) from error


def _files(archive: ZipFile, data_dir: Path) -> dict[Path, str]:
    """The files of the data directory in a backup; none is overwritten by another one."""
    found = {}
    for name in archive.namelist():
        parts = PurePosixPath(name).parts
        if parts[0] != "files":
            continue
        if ".." in parts or (name not in (KEY, CREDENTIALS) and not name.startswith(LOGS)):
            raise BackupError(f"The backup has a file that does not belong in a data directory: {name[:200]}.")
        path = data_dir.joinpath(*parts[1:])
        if path.exists() and path.read_bytes() != archive.read(name):
            raise BackupError(f"{path} exists, and is not the one of the backup. Give a new data directory.")
        found[path] = name
    return found


def _release_runs(store: Store) -> None:
    """What a `penstock run` had at the moment of the backup belongs to servers: that run is not here."""
    with store.transaction() as tx:
        for row in tx.all("owners"):
            for query in ("delete_keys_of_owner", "release_attempts", "release_pipelines"):
                tx.execute(query, owner=row["owner"])


def _told_of_key(store: Store, secrets: Secrets) -> str:
    if not secrets.is_given:
        return f"Before you start a server, put the master key into {secrets.path}, or give it in ${ENVIRONMENT}."
    secrets.tie(store)
    return "The master key that is here reads its secrets."


def rotate_master_key(store_url: str | None, data_dir: Path) -> list[str]:
    """Encrypt every secret with a new master key; gives what to tell. Raises MaintenanceRefused.

    A key in the file is replaced while no server uses the data directory: a server has the key in memory, and would go
    on writing with the old one. Keys in the environment are set by whoever starts the servers, the new one first.
    """
    with _refusing():
        if os.environ.get(ENVIRONMENT, "").strip():
            return _rotate_given(store_url, data_dir)
        if not data_dir.is_dir():
            raise _no_store(data_dir)
        with _alone(data_dir, "it has the old master key in memory and would go on writing with it"):
            return _rotate_file(store_url, data_dir)


def _rotate_given(store_url: str | None, data_dir: Path) -> list[str]:
    secrets = Secrets(data_dir)
    if len(secrets.keys()) < 2:
        raise MaintenanceRefused(
            f"${ENVIRONMENT} holds one key. Start the servers with 'OLD NEW' in it, then with 'NEW OLD', and run this"
            " command with 'NEW OLD' as well; the guide `docs/operating.md` says how to make a key."
        )
    with closing(_existing_store(store_url, data_dir)) as store:
        secrets.tie(store)
        changed = encrypt_again(store, secrets)
    return [
        f"Encrypted again with the first key of ${ENVIRONMENT}: what was to change in {changed:,} rows.",
        "Now give the servers that key alone.",
    ]


def _rotate_file(store_url: str | None, data_dir: Path) -> list[str]:
    from cryptography.fernet import Fernet

    secrets = Secrets(data_dir)
    if not secrets.is_given:
        raise MaintenanceRefused(f"There is no master key: neither {secrets.path} nor ${ENVIRONMENT}.")
    with closing(_existing_store(store_url, data_dir)) as store:
        secrets.tie(store)
        keys = secrets.keys()
        if len(keys) == 1:  # else an earlier rotation was broken off: it goes on with its key
            keys = [Fernet.generate_key().decode("ascii"), *keys]
            write_key_file(secrets.path, keys)
        both = Secrets(data_dir)
        changed = encrypt_again(store, both)
        write_key_file(secrets.path, keys[:1])
        Secrets(data_dir).tie(store)
    return [f"{secrets.path} holds a new key; what was to change in {changed:,} rows is encrypted with it."]
