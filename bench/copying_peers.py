"""Copies beside dlt, sling and ingestr: seconds of the whole command, and what becomes of NULL, '' and the word NULL.

    python bench/copying_peers.py [--rows N] [--folder DIR] [--pairs NAME...] [--repeat N] [--dlt PYTHON]
        [--sling PROGRAM] [--ingestr PROGRAM]

They are no part of Penstock: name the interpreter that has dlt (with its extra postgres, and pyarrow, SQLAlchemy and
psycopg2), and the programs `sling` and `ingestr`; what is not named is told as not installed. Each gets the same file
with a header and writes a table of its own; ours is the process of bench/copying.py, whose start is counted here too.
They and we run in turns, `--repeat` times; the fastest run of each counts. What a CSV file has become in PostgreSQL is
counted, for the column `code`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from copying import Bench, arguments, ours, psql, started, timed
from copying_rows import COLUMNS

ROWS = 500_000
NAMES = [column.split()[0] for column in COLUMNS.replace("(12, ", "(12 ").split(",")]
DLT = """
import sys
import dlt, pyarrow.csv
what, file, url, out = sys.argv[1:]
if what == "postgresql-parquet":
    from dlt.sources.sql_database import sql_table
    url = url.replace("postgresql:", "postgresql+psycopg2:")
    data = sql_table(url, table="t", schema="public", backend="pyarrow", chunk_size=100000)
else:
    lines = pyarrow.csv.ParseOptions(newlines_in_values=True)
    data = dlt.resource(lambda: iter(pyarrow.csv.open_csv(file, parse_options=lines)), name="peer")
name = out.rpartition("/")[2]
if what == "csv-postgresql":
    place, format = dlt.destinations.postgres(url), "csv"
else:
    place, format = dlt.destinations.filesystem("file://" + out), "parquet"
pipeline = dlt.pipeline(name, destination=place, dataset_name="peer", pipelines_dir=out + ".work")
pipeline.run(data, loader_file_format=format)
"""
COUNT = """select count(*), count(*) filter (where code is null) as nulls, count(*) filter (where code = '') as empty,
    count(*) filter (where code = 'NULL') as word, count(*) filter (where note like E'%\\r\\n%') as line_ends from """


class Peers:
    """The files, the server, and what a peer is told: where its files are, and the server's URL."""

    def __init__(self, bench: Bench, url: str, programs: Mapping[str, str | None]) -> None:
        self.bench, self.url, self.programs = bench, url, programs
        self.file = bench.scratch / "header.csv"
        with self.file.open("wb") as target:
            target.write((",".join(NAMES) + "\n").encode() + bench.csv.read_bytes())

    def run(self, *command: str) -> None:
        """Run a peer's command. Raises RuntimeError with the end of what it said."""
        environment = os.environ | {
            "BENCH": f"{self.url}?sslmode=disable",
            "HOME": str(self.bench.scratch),
            "DESTINATION__POSTGRES__CREDENTIALS__PASSWORD": "none",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "SLING_DISABLE_TELEMETRY": "true",
            "DISABLE_TELEMETRY": "true",
        }
        made = subprocess.run(command, env=environment, capture_output=True, text=True)
        if made.returncode:
            raise RuntimeError((made.stderr or made.stdout)[-300:])

    def dlt(self, program: str, what: str, out: Path) -> None:
        """The pair by dlt, with Arrow's batches as its rows, which is its fastest way."""
        self.run(program, "-c", DLT, what, str(self.file), self.url, str(out))

    def sling(self, program: str, what: str, out: Path) -> None:
        """The pair by sling."""
        file, table = ["--src-stream", f"file://{self.file}"], ["--src-conn", "BENCH", "--src-stream", "public.t"]
        source = file if what.startswith("csv") else table
        target = ["--tgt-conn", "BENCH", "--tgt-object", "peer.peer"]
        if what != "csv-postgresql":
            target = ["--tgt-object", f"file://{out}.{what.rpartition('-')[2]}"]
        self.run(program, "run", *source, *target, "--mode", "full-refresh")

    def ingestr(self, program: str, what: str, out: Path) -> None:
        """The pair by ingestr."""
        file = ["--source-uri", f"csv://{self.file}", "--source-table", "header"]
        table = ["--source-uri", self.url, "--source-table", "public.t"]
        target = ["--dest-uri", self.url, "--dest-table", "peer.peer"]
        if what != "csv-postgresql":
            target = ["--dest-uri", f"csv://{out}.csv", "--dest-table", "peer.peer"]
        source = file if what.startswith("csv") else table
        self.run(program, "ingest", *source, *target, "--yes", "--progress", "log")

    def work(self, name: str, what: str, number: int) -> Callable[[], None]:
        """The pair by one of them, or by us; each run of one writes a place of its own."""
        if name == "ours":
            return partial(self.ours, what)
        run: Callable[[str, str, Path], None] = getattr(self, name)
        return partial(run, str(self.programs[name]), what, self.bench.scratch / f"{name}_{what[:5]}{number}")

    def counted(self, table: str) -> str:
        """How many rows are there, and what became of NULL, '' and the word NULL."""
        command = ["psql", "-XAt", "-F", ", ", self.url, "-c", COUNT + table]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        return (made.stdout or made.stderr).strip()

    def ours(self, what: str) -> None:
        """The pair by our own copy, with the start of its process."""
        ends = {"csv": str(self.bench.csv), "postgresql": self.url}
        source, target = what.split("-")
        out = self.url if target == "postgresql" else str(self.bench.scratch / f"out.{target}")
        ours(ends[source], out)


PAIRS = {
    "csv-postgresql": ("dlt", "sling", "ingestr"),
    "postgresql-csv": ("sling", "ingestr"),
    "postgresql-parquet": ("dlt", "sling"),
    "csv-parquet": ("dlt", "sling"),
}
"""What each of them can do, as far as it is known here."""
NAMES_OF_PEERS = ("dlt", "sling", "ingestr")


def compare(peers: Peers, what: str) -> None:
    """Let all who can do a pair do it in turns, and print the fastest of each."""
    best: dict[str, float] = {}
    failed: dict[str, str] = {}
    counted: dict[str, str] = {}
    for number in range(peers.bench.repeat):
        for name in (*PAIRS[what], "ours"):
            if name != "ours" and peers.programs[name] is None:
                continue
            psql(peers.url, "SET client_min_messages = error; DROP SCHEMA IF EXISTS peer CASCADE; CREATE SCHEMA peer")
            if what.endswith("postgresql"):
                psql(peers.url, "TRUNCATE t")
            try:
                seconds = timed(peers.work(name, what, number))
            except RuntimeError as error:
                failed[name] = " ".join(str(error).split())
                continue
            best[name] = min(best.get(name, seconds), seconds)
            if what == "csv-postgresql":
                counted[name] = peers.counted("t" if name == "ours" else "peer.peer")
    for name in ("ours", *PAIRS[what]):
        begin = f"{what}: " if name == "ours" else f"    {name}: "
        ratio = "" if name == "ours" else f", {best.get(name, 0) / best['ours']:.1f} times"
        if name in failed:
            print(f"{begin}failed: {failed[name]}")
        elif name in best:
            print(f"{begin}{best[name]:.2f} s{ratio}")
        else:
            print(f"{begin}not installed")
        if name in counted:
            print(f"        rows, NULL, '', the word NULL, notes with CR LF: {counted[name]}", flush=True)


def main() -> None:
    parser = arguments(__doc__, PAIRS, ROWS)
    for name in NAMES_OF_PEERS:
        parser.add_argument(f"--{name}")
    options = parser.parse_args()
    with started(options) as bench:
        peers = Peers(bench, bench.fresh(), {name: getattr(options, name) for name in NAMES_OF_PEERS})
        for pair in options.pairs:
            if pair.startswith("postgresql"):
                psql(peers.url, "TRUNCATE t", f"\\copy t from '{bench.csv}' csv")
            compare(peers, pair)


if __name__ == "__main__":
    main()
