"""A disk without room under the data directory, a runner's logs and `s3://`, and a data directory that is read-only."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fault_pipeline import DEFAULT, TRIES, Runs, activity
from fault_site import GROUP, SECONDS, Site, by_hand, until

from penstock.wire.errors import ServiceError

MIB = 1024 * 1024


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """A file system of its own of so many bytes; skips where nobody may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk, and not everywhere")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all room that is left."""
    path = folder / "ballast"
    with path.open("ab", buffering=0) as stream:
        try:
            while stream.write(b"x" * 65536):
                pass
        except OSError:
            pass
        try:
            while stream.write(b"x"):
                pass
        except OSError:
            pass
    return path


def test_a_full_disk_under_the_store_loses_nothing_that_was_answered(site: Site) -> None:
    with small_disk(site.data, 8 * MIB) as disk:
        runs = Runs(site.folder / "runs")
        site.server()
        site.runner()
        until(lambda: site.said("runner"), "the runner is there")
        objects = [
            DEFAULT,
            activity("One", runs.command(6.0 if SECONDS else 1.0), workerGroup=GROUP, **TRIES),
            activity("Two", runs.command(0), after=["One"], workerGroup=GROUP, **TRIES),
        ]
        pipeline_id = site.activated(objects)
        until(lambda: runs.read().begun, "the first command runs")
        client = site.client()
        ballast = fill(disk)
        made: list[str] = []
        failures: list[ServiceError] = []
        while len(failures) < 3:
            try:
                name = f"p{len(made)}-" + "x" * 900
                made.append(client.call("CreatePipeline", name=name, uniqueId=str(len(made)))["pipelineId"])
            except ServiceError as error:
                failures.append(error)
            assert len(made) < 10_000
        assert {error.status for error in failures} == {500}
        assert "store" in failures[0].message
        assert site.state(pipeline_id) == "SCHEDULED"  # it can still be read
        until(lambda: runs.read().ended, "the first command ends")  # by hand only after its lease is over
        ballast.unlink()
        until(lambda: site.state(pipeline_id) == "FINISHED", "it goes on when there is room again")
        assert set(runs.read().by_instance().values()) == {1}
        found = client.call("DescribePipelines", pipelineIds=made[-25:])["pipelineDescriptionList"] if made else []
        assert len(found) == min(25, len(made))
        client.close()
        assert site.processes["server"].poll() is None
        assert "Traceback" not in site.said("server")
        site.end()


def test_a_server_started_on_a_full_disk_says_so_and_starts_when_there_is_room(site: Site) -> None:
    with small_disk(site.data, 2 * MIB) as disk:
        ballast = fill(disk)
        arguments = ["server", "--port", "0", "--data-dir", str(disk)]
        command = [sys.executable, "-m", "penstock", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=site.environment, timeout=60, check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "No space left" in done.stderr or "full" in done.stderr
        ballast.unlink()
        site.server()
        assert site.call("ListPipelines")["pipelineIdList"] == []
        site.end()


@by_hand
def test_a_full_disk_under_a_runner_fails_no_work_that_needs_no_room(site: Site) -> None:
    with small_disk(site.folder / "runner", 2 * MIB) as disk:
        runs = Runs(site.folder / "runs")
        site.server()
        site.runner()
        until(lambda: site.said("runner"), "the runner is there")
        pipeline_id = site.activated([DEFAULT, activity("Work", runs.command(1.0), workerGroup=GROUP, **TRIES)])
        until(lambda: runs.read().begun, "the command runs")
        ballast = fill(disk)
        until(lambda: site.state(pipeline_id) == "FINISHED", "the pipeline ends")
        assert set(runs.read().by_instance().values()) == {1}
        ballast = fill(disk)
        failing = {"workerGroup": GROUP, "maximumRetries": "0"}
        second = site.activated([DEFAULT, activity("More", "head -c 100000 /dev/zero > file", **failing)])
        until(lambda: site.state(second) == "FINISHED", "the second one ends")
        (told,) = site.objects(second, "INSTANCE")
        assert told["@status"] == "FAILED"
        assert "No space left" in told["errorMessage"]
        ballast.unlink()
        third = site.activated([DEFAULT, activity("Later", runs.command(0), **failing)])
        until(lambda: site.state(third) == "FINISHED", "the third one ends")
        assert set(site.statuses(third).values()) == {"FINISHED"}
        site.end()


@by_hand
def test_a_full_disk_under_s3_fails_the_copy_and_leaves_no_half_object(site: Site) -> None:
    with small_disk(site.data / "s3", 1 * MIB) as disk:
        site.server()
        site.runner(data=site.data)
        big = site.folder / "big"
        big.write_bytes(b"line\n" * (MIB // 2))
        command = f"cp {big} $OUTPUT1_STAGING_DIR/big"
        out = {"id": "Out", "type": "S3DataNode", "directoryPath": "s3://bucket/out"}
        work = activity("Work", command, workerGroup=GROUP, maximumRetries="0", output={"ref": "Out"}, stage="true")
        pipeline_id = site.activated([DEFAULT, out, work])
        until(lambda: site.state(pipeline_id) == "FINISHED", "the pipeline ends")
        told = next(fields for fields in site.objects(pipeline_id, "INSTANCE") if "@Work_" in fields["id"])
        assert told["@status"] == "FAILED"
        assert "No space left" in told["errorMessage"]
        assert [path for path in disk.rglob("*") if path.is_file()] == []
        site.end()


NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")


def as_nobody(site: Site, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command as another user."""
    environment = site.environment | {"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": "s", "HOME": "/"}
    command = [*NOBODY, sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False, cwd="/")


@pytest.fixture
def theirs() -> Iterator[Site]:
    """A site whose data directory another user can read and not write."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        Path(folder).chmod(0o755)
        site = Site(Path(folder))
        site.data.mkdir(mode=0o755)
        if os.geteuid() != 0 or shutil.which("setpriv") is None or as_nobody(site, "-c", "import penstock").returncode:
            pytest.skip("only root can become another user, who must be able to read the program")
        yield site
        site.end()


def test_a_data_directory_of_another_user_is_refused_by_server_run_and_runner(theirs: Site) -> None:
    definition = theirs.folder / "p.json"
    work = {"id": "W", "type": "ShellCommandActivity", "command": "true", "workerGroup": "g"}
    definition.write_text(json.dumps({"objects": [DEFAULT, work]}))
    for arguments in (
        ("server", "--port", "0", "--data-dir", str(theirs.data)),
        ("run", str(definition), "--data-dir", str(theirs.data)),
        ("runner", "--worker-group", GROUP, "--endpoint", "http://127.0.0.1:1", "--data-dir", str(theirs.data)),
    ):
        done = as_nobody(theirs, "-m", "penstock", *arguments)
        assert done.returncode == 1, done.stderr
        assert f"The data directory {theirs.data} is not writable: Permission denied." in done.stderr
        assert "Traceback" not in done.stderr


@by_hand
def test_a_store_of_another_user_is_refused(theirs: Site) -> None:
    theirs.server()
    theirs.kill("server")
    theirs.data.chmod(0o777)
    for name in ("penstock.db", "in-use", "master.key", "credentials"):
        done = as_nobody(theirs, "-m", "penstock", "server", "--port", "0", "--data-dir", str(theirs.data))
        assert done.returncode == 1, done
        assert "Traceback" not in done.stderr
        assert str(theirs.data) in done.stderr
        shutil.chown(theirs.data / name, "nobody", "nogroup")
        for path in (*theirs.data.glob("penstock.db-*"), *theirs.data.glob("servers"), *theirs.data.glob("runs")):
            if name == "penstock.db":
                shutil.chown(path, "nobody", "nogroup")
