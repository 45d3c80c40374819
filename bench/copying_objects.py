"""Copies from and to S3 beside what bounds them: the server itself, plain boto3, and the same copy of a local file.

    python bench/copying_objects.py [--rows N] [--folder DIR] [--pairs NAME...] [--repeat N]

The objects are the files of bench/copying.py, in a SeaweedFS that is started as `[storage] embedded = "seaweedfs"`
starts it. A copy between S3 and PostgreSQL can be no faster than the slower of its two ends: the object to nowhere, or
from a local file, by boto3's own transfer, and a local file in place of the object, by `psql` and by ourselves. Each of
our copies runs in a process of its own; of `--repeat` turns the fastest of each counts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from copying import Bench, Made, arguments, emptying, file_side, in_process, ours, psql, report, run_copy, started

from penstock.data.s3_storage import S3Storage
from penstock.data.seaweedfs import Address, use

if TYPE_CHECKING:
    from penstock.data.copy import FileSide, TableSide

BUCKET = "bench"


class Objects:
    """The bench of the files, and the S3 server."""

    def __init__(self, files: Bench, server: Address) -> None:
        self.files, self.server = files, server
        self.client = boto(server)
        self.client.create_bucket(Bucket=BUCKET)

    def object(self, path: Path) -> str:
        """The URI of a file's object, which is made if it is missing, as a copy makes it."""
        uri = f"s3://{BUCKET}/{path.name}"
        storage = S3Storage(self.server.setting())
        if not storage.exists(uri):
            storage.upload(path, uri)
            os.sync()
        return uri

    def ours(self, source: str, target: str) -> Made:
        """Copy in a process of its own."""
        return in_process(__file__, {"source": source, "target": target, "server": vars(self.server)})


def boto(server: Address) -> Any:
    import boto3

    keys = {"aws_access_key_id": server.access_key_id, "aws_secret_access_key": server.secret_access_key}
    return boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", **keys)


def run_one(job: dict[str, Any]) -> None:
    """The child: copy, and print what it took. An object whose URI begins with s3n:// is of another storage."""
    from penstock.data.copy import FileSide, TableSide
    from penstock.data.databases import parse_connection_string

    setting = Address(**job["server"]).setting()

    def side(text: str) -> FileSide | TableSide:
        if text.startswith("postgresql:"):
            return TableSide(parse_connection_string(text, folder=Path("/")), "t")
        format = file_side(Path("/bench") / text.rpartition("/")[2]).format
        other = replace(setting, read_timeout=setting.read_timeout + 1) if text.startswith("s3n:") else setting
        return FileSide(S3Storage(other), text, format=format)

    S3Storage(setting).exists(f"s3://{BUCKET}/none")  # a connection is there, as the peers have one
    run_copy(side(job["source"]), side(job["target"]))


def s3_to_s3(bench: Objects) -> None:
    source = bench.object(bench.files.csv)
    bucket_key = {"Bucket": BUCKET, "Key": bench.files.csv.name}
    local = bench.files.scratch / "object.csv"

    def through() -> None:
        bench.client.download_file(*bucket_key.values(), str(local))
        bench.client.upload_file(str(local), BUCKET, "through.csv")

    own = {
        "the server's CopyObject": lambda: bench.client.copy_object(Bucket=BUCKET, Key="o.csv", CopySource=bucket_key)
    }
    best, peers = bench.files.turns(lambda: bench.ours(source, f"s3://{BUCKET}/copy.csv"), own)
    report("S3 to S3", best, peers, 0.9)
    best, peers = bench.files.turns(
        lambda: bench.ours(source, f"s3n://{BUCKET}/other.csv"), {"boto3, to a file and back": through}
    )
    report("S3 to S3 of another endpoint", best, peers, None)


def s3_to_postgresql(bench: Objects, file: Path, name: str) -> None:
    source, url = bench.object(file), bench.files.fresh()

    options = "csv" if file == bench.files.csv else "(format text, delimiter ',')"

    def nowhere() -> None:
        with Path("/dev/null").open("wb") as null:
            bench.client.download_fileobj(BUCKET, file.name, null)

    best, peers = bench.files.turns(
        lambda: bench.ours(source, url),
        {
            "boto3 to nowhere": nowhere,
            "psql \\copy of a local file": lambda: psql(url, f"\\copy t from '{file}' {options}"),
            "ours of a local file": lambda: ours(str(file), url),
        },
        emptying(url),
    )
    report(f"S3 to PostgreSQL, {name}", best, slower(peers), 0.9)


def postgresql_to_s3(bench: Objects, file: Path, name: str) -> None:
    url, out = bench.files.filled(), bench.files.scratch / f"out{'-aws' if file.stem.endswith('-aws') else ''}.csv"
    best, peers = bench.files.turns(
        lambda: bench.ours(url, f"s3://{BUCKET}/{out.name}"),
        {
            "boto3 of a file": lambda: bench.client.upload_file(str(file), BUCKET, "put.csv"),
            "to a local file": lambda: ours(url, str(out)),
        },
    )
    report(f"PostgreSQL to S3, {name}", best, slower(peers), 0.9)


def slower(ends: dict[str, float | None]) -> dict[str, float | None]:
    """The slower end first, which the target is about."""
    return dict(sorted(ends.items(), key=lambda end: -(end[1] or 0)))


PAIRS: dict[str, Callable[[Objects], None]] = {
    "s3-s3": s3_to_s3,
    "s3-postgresql": lambda bench: s3_to_postgresql(bench, bench.files.csv, "rfc4180"),
    "s3aws-postgresql": lambda bench: s3_to_postgresql(bench, bench.files.aws, "the service's CSV"),
    "postgresql-s3": lambda bench: postgresql_to_s3(bench, bench.files.csv, "rfc4180"),
    "postgresql-s3aws": lambda bench: postgresql_to_s3(bench, bench.files.aws, "the service's CSV"),
}


def main() -> None:
    options = arguments(__doc__, PAIRS).parse_args()
    if options.one:
        return run_one(options.one)
    with started(options) as files:
        used = use(files.scratch)
        try:
            bench = Objects(files, used.address)
            for pair in options.pairs:
                PAIRS[pair](bench)
        finally:
            used.end()
    return None


if __name__ == "__main__":
    main()
