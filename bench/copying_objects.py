"""Copies from and to S3 beside what bounds them: the server itself, plain boto3, and the same copy of a local file.

    python bench/copying_objects.py [--rows N] [--folder DIR] [--pairs NAME...] [--repeat N]

The objects are the files of bench/copying.py, in a SeaweedFS that is started as `[storage] embedded = "seaweedfs"`
starts it. A copy between S3 and PostgreSQL can be no faster than the slower of its two ends: the object to nowhere, or
from a local file, by boto3's own transfer, and the same copy with a local file in place of the object. Each of our
copies runs in a process of its own; of `--repeat` turns the fastest of each counts.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from copying import Bench, file_side, ours, psql, report, run_copy, timed
from copying_rows import ROWS, write_files

from engine import postgresql
from penstock.data.s3_storage import S3Storage
from penstock.data.seaweedfs import Address, use

BUCKET = "bench"
Made = tuple[float, int, str]


class Objects:
    """The bench of the files, and the S3 server."""

    def __init__(self, files: Bench, server: Address, repeat: int) -> None:
        self.files, self.server, self.repeat = files, server, repeat
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
        """Copy in a process of its own: seconds, peak memory in MB, and the way."""
        job = json.dumps({"source": source, "target": target, "server": vars(self.server)})
        made = subprocess.run([sys.executable, __file__, "--one", job], check=True, stdout=subprocess.PIPE, text=True)
        seconds, memory, way = json.loads(made.stdout)
        return seconds, memory, way

    def turns(
        self, ours: Callable[[], Made], peers: dict[str, Callable[[], object]]
    ) -> tuple[Made, dict[str, float | None]]:
        """Ours and the peers in turns: the fastest of each. A peer that gives what `ours` gives has its seconds."""
        best: list[Made] = []
        taken: dict[str, float] = {}
        for _ in range(self.repeat):
            for name, peer in peers.items():
                made: list[object] = []
                seconds = timed(1, lambda peer=peer, made=made: made.append(peer()))  # type: ignore[misc]
                told = made[0][0] if isinstance(made[0], tuple) else seconds
                taken[name] = min(taken.get(name, told), told)
            best.append(ours())
        return min(best), dict(taken)


def boto(server: Address) -> Any:
    import boto3

    keys = {"aws_access_key_id": server.access_key_id, "aws_secret_access_key": server.secret_access_key}
    return boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", **keys)


def run_one(job: dict[str, Any]) -> None:
    """The child: copy, and print what it took. An object whose URI begins with s3n:// is of another storage."""
    from penstock.data.copy import FileSide, TableSide
    from penstock.data.databases import parse_connection_string

    setting = Address(**job["server"]).setting()

    def side(text: str) -> object:
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
    best, peers = bench.turns(lambda: bench.ours(source, f"s3://{BUCKET}/copy.csv"), own)
    report("S3 to S3", best, peers, 0.9)
    best, peers = bench.turns(
        lambda: bench.ours(source, f"s3n://{BUCKET}/other.csv"), {"boto3, to a file and back": through}
    )
    report("S3 to S3 of another endpoint", best, peers, None)


def s3_to_postgresql(bench: Objects, file: Path, name: str) -> None:
    source, url = bench.object(file), bench.files.fresh()

    def nowhere() -> None:
        with Path("/dev/null").open("wb") as null:
            bench.client.download_fileobj(BUCKET, file.name, null)

    def emptied(copy: Callable[[], Made]) -> Made:
        psql(url, "TRUNCATE t")
        return copy()

    best, peers = bench.turns(
        lambda: emptied(lambda: bench.ours(source, url)),
        {"boto3 to nowhere": nowhere, "from a local file": lambda: emptied(lambda: ours(str(file), url))},
    )
    report(f"S3 to PostgreSQL, {name}", best, slower(peers), 0.9)


def postgresql_to_s3(bench: Objects, file: Path, name: str) -> None:
    url, out = bench.files.filled(), bench.files.scratch / f"out{'-aws' if file.stem.endswith('-aws') else ''}.csv"
    best, peers = bench.turns(
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "penstock-bench")
    parser.add_argument("--pairs", nargs="*", choices=[*PAIRS], default=[*PAIRS])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        return run_one(json.loads(options.one))
    name = {ROWS: "rows", ROWS // 10: "rows-tenth"}.get(options.rows, f"rows-{options.rows}")
    options.folder.mkdir(parents=True, exist_ok=True)
    if not (options.folder / f"{name}.csv").exists():
        write_files(options.folder, name, options.rows)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as scratch:
        Path(scratch).chmod(0o755)
        used = use(Path(scratch))
        try:
            with postgresql(Path(scratch)) as url:
                files = Bench(options.folder, name, options.rows, url, Path(scratch))
                bench = Objects(files, used.address, options.repeat)
                for pair in options.pairs:
                    PAIRS[pair](bench)
        finally:
            used.end()
    return None


if __name__ == "__main__":
    main()
