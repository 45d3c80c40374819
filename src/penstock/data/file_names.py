"""Ids as names of files and folders, and where the logs of an attempt lie."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import quote

NAME_CHARACTERS = "@:=-_. ,+~"
LONGEST_NAME = 200


def file_name(identity: str) -> str:
    """An id as a name in a file system: what could lead elsewhere is percent-encoded, a long one ends with a hash."""
    name = quote(identity, safe=NAME_CHARACTERS, errors="replace")
    if set(name) <= {"."}:
        return name.replace(".", "%2E")
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - len(digest) - 1]}~{digest}"


def log_folder(data_dir: Path, pipeline_id: str, attempt: str) -> Path:
    """The folder of an attempt's logs in a data directory, which is made when there are any.

    An attempt's id begins with its component and its time: in that order those of a pipeline lie side by side.
    """
    return data_dir / "logs" / file_name(pipeline_id) / file_name(attempt)


def log_uri(pipeline_log_uri: str | None, pipeline_id: str, component: str, instance: str, attempt: str) -> str | None:
    """`<pipelineLogUri>/<pipelineId>/<Component>/<instance id>/<attempt id>`, as the service keeps them (recorded).

    Ids are made names, as in the data directory: a slash in one must not make a folder more.
    """
    if not pipeline_log_uri:
        return None
    names = "/".join(file_name(part) for part in (pipeline_id, component, instance, attempt))
    return f"{pipeline_log_uri.rstrip('/')}/{names}"


def task_mark(task_id: str) -> str:
    """The name of the file in an attempt's log folder by which its task runner shows that it works there.

    A service that sees the file shares the folder. Whoever knows a task's id holds the task, so the name is a hash.
    """
    return f".task-{hashlib.sha256(task_id.encode('utf-8', 'replace')).hexdigest()[:32]}"
