"""Inputs and outputs as local folders, and programs given as text or by URI (the guide's page on staging)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache
from pathlib import Path, PurePosixPath

from penstock.objects.data_nodes.s3_data_node import S3DataNode
from penstock.objects.families import DataNode
from penstock.objects.work import Work, WorkFailed


@cache
def shell() -> str:
    """bash, as on the real service's machines; sh where there is none."""
    return shutil.which("bash") or "/bin/sh"


def program(work: Work, command: str | None, script_uri: str | None) -> Path:
    """A file in the attempt's folder that holds the command or the script."""
    path = work.folder / "program"
    if command is not None:
        path.write_text(command, encoding="utf-8")
    elif script_uri is not None:
        work.storage.download(script_uri, path)
    path.chmod(0o700)
    return path


def stage_inputs(work: Work, nodes: Sequence[DataNode]) -> dict[str, str]:
    """Bring each input into a folder of its own; gives `INPUT1_STAGING_DIR` and so on."""
    environment: dict[str, str] = {}
    for number, node in enumerate(_s3_nodes(nodes, "input"), 1):
        folder = work.folder / f"input{number}"
        folder.mkdir()
        environment[f"INPUT{number}_STAGING_DIR"] = str(folder)
        if node.file_path is not None:
            work.storage.download(node.file_path, folder / (PurePosixPath(node.file_path).name or "data"))
            continue
        prefix = node.directory_uri()
        for entry in work.storage.list(prefix):
            work.check_stopped()
            name = entry.uri[len(prefix) :]
            if name and not name.endswith("/"):
                _bring(work, entry.uri, folder, name)
    return environment


def _bring(work: Work, uri: str, folder: Path, name: str) -> None:
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()):
        raise WorkFailed(f"{uri} cannot be staged: its key leads out of the folder. Rename it, or set stage to false.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work.storage.download(uri, target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise WorkFailed(
            f"{uri} cannot be staged: another key makes a folder and a file of the same name."
            " Rename one of them, or set stage to false."
        ) from None


def make_outputs(work: Work, nodes: Sequence[DataNode]) -> dict[str, str]:
    """An empty folder for each output; gives `OUTPUT1_STAGING_DIR` and so on."""
    environment: dict[str, str] = {}
    for number, node in enumerate(_s3_nodes(nodes, "output"), 1):
        if node.directory_path is None:
            raise WorkFailed(
                f"The output '{node.name}' has a filePath; staged outputs need a directoryPath, or set stage to false."
            )
        folder = work.folder / f"output{number}"
        folder.mkdir()
        environment[f"OUTPUT{number}_STAGING_DIR"] = str(folder)
    return environment


def send_outputs(work: Work, nodes: Sequence[DataNode]) -> None:
    """Put what the command left in its output folders where the data nodes say."""
    for number, node in enumerate(_s3_nodes(nodes, "output"), 1):
        folder = work.folder / f"output{number}"
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                work.check_stopped()
                node.storage(work).upload(path, node.directory_uri() + path.relative_to(folder).as_posix())


def _s3_nodes(nodes: Sequence[DataNode], what: str) -> list[S3DataNode]:
    found: list[S3DataNode] = []
    for node in nodes:
        if not isinstance(node, S3DataNode):
            raise WorkFailed(f"The {what} '{node.name}' is a {node.type_name()}; only S3DataNodes can be staged.")
        found.append(node)
    return found


def redirect(work: Work, stdout: str | None, stderr: str | None) -> None:
    """Copy the command's output to where `stdout` and `stderr` say: an S3 URI, or a path of this machine."""
    for target, path in ((stdout, work.stdout), (stderr, work.stderr)):
        if target is None:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # a command without output has made no file
        if target.startswith(("s3://", "s3n://", "s3a://")):
            work.storage.upload(path, target)
        else:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
