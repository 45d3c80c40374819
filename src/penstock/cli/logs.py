"""`penstock logs`: the logs of an attempt where they lie on this machine, else where its task runner sent them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import click

from penstock.cli.connection import Named, Service, check_instances, described, find_pipeline
from penstock.cli.follow import attempt_logs
from penstock.cli.output import fail, print_json
from penstock.data.file_names import file_name


def show_logs(service: Service, identity: str, wanted: str, as_json: bool) -> None:
    """Print the files of an attempt's log folder; of an instance, those of its last attempt."""
    pipeline = find_pipeline(service, wanted)
    check_instances((identity,), pipeline)
    fields = described(service, pipeline, identity)
    if fields["@sphere"] == "INSTANCE":
        if "@headAttempt" not in fields:
            fail(
                f"{identity} has no logs, as it was never tried: it is {fields['@status']}."
                f" `penstock why {identity} --pipeline {pipeline.pipeline_id}` says more."
            )
        fields = described(service, pipeline, fields["@headAttempt"])
    uri = _uri(service, pipeline, fields)
    with ExitStack() as stack:
        try:
            folder = attempt_logs(service.data_dir, pipeline.pipeline_id, fields)
            files = {path: stack.enter_context(path.open("rb")) for path in _files(folder)}
        except OSError as error:
            fail(f"The logs of {fields['id']} in {service.data_dir} cannot be read: {error.strerror}.")
        if as_json:
            texts = {path.name: stream.read().decode("utf-8", "replace") for path, stream in files.items()}
            place = str(folder) if folder is not None else None
            print_json({"attempt": fields["id"], "folder": place, "uri": uri, "files": texts})
            return
        _print_files(files)
    if folder is not None:
        return
    if uri is None:
        fail(
            f"The logs of {fields['id']} are not in {service.data_dir}, and it has no pipelineLogUri to send them to:"
            " they are in the data directory of its task runner. --data-dir names another one."
        )
    click.echo(f"The logs of {fields['id']} are not in {service.data_dir}. Its task runner sends them to {uri}/")


def _uri(service: Service, pipeline: Named, fields: dict[str, str]) -> str | None:
    """Where the task runner of an attempt sends its logs; the URI is evaluated for the attempt's instance."""
    instance, component = fields["@instanceParent"], fields["@componentParent"]
    uri = described(service, pipeline, instance, evaluate=True).get("pipelineLogUri")
    if not uri:
        return None
    parts = (pipeline.pipeline_id, component, instance, fields["id"])
    return "/".join([uri.rstrip("/"), *(file_name(part) for part in parts)])


def _files(folder: Path | None) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file()) if folder is not None else []


def _print_files(files: Mapping[Path, BinaryIO]) -> None:
    """Each file under its path, as it is, byte for byte; a last line that is not ended is ended."""
    out = sys.stdout.buffer
    for path, stream in files.items():
        out.write(b"==> " + os.fsencode(path) + b" <==\n")
        shutil.copyfileobj(stream, out)
        if stream.tell():
            stream.seek(-1, os.SEEK_CUR)
            out.write(b"" if stream.read(1) == b"\n" else b"\n")
    out.flush()
