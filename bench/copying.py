"""CopyActivity beside the databases' own bulk tools: seconds, ratios and peak memory, in one run.

    python bench/copying.py [--rows N] [--folder DIR] [--pairs NAME...] [--repeat N]

The table has 5,000,000 rows of 10 columns (bench/copying_rows.py), about 1 GB as CSV; its files are made once in DIR. A
PostgreSQL of its own is started, durable as it comes. Each of our copies runs in a process of its own, whose peak
resident memory is told. The peers and we run in turns, `--repeat` times, so that a slow phase of the machine hits all
of them; the fastest run of each counts. Peers that are not installed are said to be missing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from copying_rows import COLUMNS, ROWS, write_files

from engine import database, free_port, postgresql

if TYPE_CHECKING:
    from penstock.data.copy import FileSide, TableSide

TYPES = {
    "id": "BIGINT",
    **dict.fromkeys(("store", "quantity"), "INTEGER"),
    "price": "DECIMAL(12,2)",
    "tax": "DECIMAL(12,4)",
    **dict.fromkeys(("created", "shipped"), "TIMESTAMP"),
    **dict.fromkeys(("code", "city", "note"), "VARCHAR"),
}
CREATE = f"CREATE TABLE t ({COLUMNS})"
NAMES = tuple(f"{name} {kind}" for name, kind in TYPES.items())
Made = tuple[float, int, str]
"""What one of our copies took: seconds, peak memory in MB, and the way that it went."""


class Bench:
    """The files, the server, and what a pair needs of them."""

    def __init__(self, folder: Path, name: str, rows: int, repeat: int, server: str, scratch: Path) -> None:
        self.rows, self.repeat = rows, repeat
        self.csv, self.aws = folder / f"{name}.csv", folder / f"{name}-aws.csv"
        self.parquet = scratch / "rows.parquet"
        self.url, self.scratch, self._numbers = server, scratch, 0

    def fresh(self) -> str:
        """A fresh database with the empty table."""
        self._numbers += 1
        url = database(self.url, f"copy_{self._numbers}")
        psql(url, CREATE)
        return url

    def filled(self) -> str:
        """A fresh database with the table's rows."""
        url = self.fresh()
        psql(url, f"\\copy t from '{self.csv}' csv")
        psql(url, "VACUUM ANALYZE t")
        return url

    def turns(
        self,
        ours: Callable[[], Made],
        peers: Mapping[str, Callable[[], object] | None],
        prepare: Callable[[], object] = lambda: None,
    ) -> tuple[Made, dict[str, float | None]]:
        """The fastest of ours and of each peer, which run in turns, ours last; `prepare` runs before each of them.

        A peer that gives what `ours` gives has its seconds, and one that is None is not installed.
        """
        best: list[Made] = []
        taken: dict[str, float | None] = dict.fromkeys(peers)
        for _ in range(self.repeat):
            for name, peer in peers.items():
                if peer is not None:
                    prepare()
                    seconds, fastest = timed(peer), taken[name]
                    taken[name] = seconds if fastest is None else min(seconds, fastest)
            prepare()
            best.append(ours())
        return min(best), taken


def arguments(text: str, pairs: Iterable[str], rows: int = ROWS) -> argparse.ArgumentParser:
    """What every bench of copies is told; `--one` is how it starts the processes of its copies."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=rows)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "penstock-bench")
    parser.add_argument("--pairs", nargs="*", choices=[*pairs], default=[*pairs])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    return parser


@contextmanager
def started(options: argparse.Namespace) -> Iterator[Bench]:
    """The bench: its files, which are made where they are missing, and a PostgreSQL."""
    name = {ROWS: "rows", ROWS // 10: "rows-tenth"}.get(options.rows, f"rows-{options.rows}")
    options.folder.mkdir(parents=True, exist_ok=True)
    if not (options.folder / f"{name}.csv").exists():
        write_files(options.folder, name, options.rows)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as made:
        scratch = Path(made)
        scratch.chmod(0o755)
        with postgresql(scratch) as url:
            yield Bench(options.folder, name, options.rows, options.repeat, url, scratch)


def psql(url: str, *commands: str) -> None:
    subprocess.run(["psql", "-qX", url, *(part for command in commands for part in ("-c", command))], check=True)


def duck(url: str | None, statement: str) -> None:
    """Run a statement by DuckDB alone; `{csv}` reads the columns as they are, `pg.t` is the table."""
    load = ""
    if url is not None:
        import duckdb
        import duckdb_extension_postgres_scanner as wheel

        extension = f"{next(iter(wheel.__path__))}/extensions/v{duckdb.__version__}/postgres_scanner.duckdb_extension"
        load = f"con.execute(\"LOAD '{extension}'\"); con.execute(\"ATTACH '{url}' AS pg (TYPE postgres)\"); "
    begin = "import duckdb; con = duckdb.connect(); con.execute('SET enable_progress_bar = false'); "
    script = f"{begin}{load}con.execute({statement!r})"
    subprocess.run([sys.executable, "-c", script], check=True)


def read_csv(path: Path) -> str:
    return (
        f"read_csv('{path}', columns = {TYPES}, delim = ',', quote = '\"', escape = '\"', nullstr = '',"
        " allow_quoted_nulls = false, header = false, auto_detect = false)"
    )


def ours(source: str, target: str, *, insert: str | None = None) -> Made:
    """Copy in a process of its own."""
    return in_process(__file__, {"source": source, "target": target, "insert": insert})


def in_process(bench: str, job: Mapping[str, object]) -> Made:
    """Let a bench run one copy in a process of its own."""
    os.sync()  # else this run would wait for what an earlier one has written
    command = [sys.executable, bench, "--one", json.dumps(job)]
    made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    seconds, memory, way = json.loads(made.stdout)
    return seconds, memory, way


def run_one(job: Mapping[str, str | None]) -> None:
    """The child: copy, and print what it took."""
    from penstock.data.copy import TableSide

    def side(text: str) -> FileSide | TableSide:
        if "://" in text or text.startswith("sqlite:"):
            from penstock.data.databases import parse_connection_string

            address = parse_connection_string(text, folder=Path("/"))
            return TableSide(address, "t", insert_query=job["insert"])
        return file_side(Path(text))

    run_copy(side(str(job["source"])), side(str(job["target"])))


def run_copy(source: FileSide | TableSide, target: FileSide | TableSide) -> None:
    """Copy in this process, and print seconds, peak memory in MB, and the way."""
    from penstock.data.copy import copy

    begin = time.monotonic()
    result = copy(source, target, lambda *, rows, bytes: None)
    seconds = time.monotonic() - begin
    status = Path("/proc/self/status").read_text(encoding="utf-8")  # Linux: ru_maxrss would begin with the parent's
    peak = int(status.partition("VmHWM:")[2].split()[0])
    print(json.dumps([seconds, peak // 1024, result.way]))


def file_side(path: Path) -> FileSide:
    """A file by its path: the storage is the folder above it."""
    from penstock.data.copy import FileSide
    from penstock.data.formats import CSV, Parquet, delimited
    from penstock.data.local_folder import LocalFolder

    format = CSV() if path.stem.endswith("-aws") else delimited("CSV", quoting="rfc4180")
    if path.suffix == ".parquet":
        return FileSide(LocalFolder(path.parent.parent), f"s3://{path.parent.name}/{path.name}", format=Parquet(NAMES))
    return FileSide(LocalFolder(path.parent.parent), f"s3://{path.parent.name}/{path.name}", format=format)


def timed(work: Callable[[], object]) -> float:
    """Seconds of some work, or those that it gives as one of our copies."""
    os.sync()
    begin = time.monotonic()
    made = work()
    return float(made[0]) if isinstance(made, tuple) else time.monotonic() - begin


def main() -> None:
    options = arguments(__doc__, PAIRS).parse_args()
    if options.one:
        return run_one(options.one)
    with started(options) as bench:
        for pair in options.pairs:
            PAIRS[pair](bench)
    return None


def report(pair: str, best: Made, peers: Mapping[str, float | None], needed: float | None) -> None:
    seconds, memory, way = best
    print(f"{pair}: {seconds:.2f} s, {memory} MB, by {way}" + (f" (needed: {needed} times)" if needed else ""))
    for name, taken in peers.items():
        print(f"    {name}: " + ("not installed" if taken is None else f"{taken:.2f} s, {taken / seconds:.2f} times"))
    sys.stdout.flush()


def emptying(url: str) -> Callable[[], None]:
    """What empties the table."""
    return lambda: psql(url, "TRUNCATE t")


def csv_to_postgresql(bench: Bench) -> None:
    url = bench.fresh()
    halves = split(bench)

    def two() -> None:
        running = [subprocess.Popen(["psql", "-qX", url, "-c", f"\\copy t from '{half}' csv"]) for half in halves]
        assert [half.wait() for half in running] == [0, 0]

    own = {
        "psql \\copy": lambda: psql(url, f"\\copy t from '{bench.csv}' csv"),
        "two psql at once": two,
        "DuckDB": lambda: duck(url, f"INSERT INTO pg.t SELECT * FROM {read_csv(bench.csv)}"),
    }
    best, peers = bench.turns(lambda: ours(str(bench.csv), url), own, emptying(url))
    report("CSV to PostgreSQL", best, peers, 1.8)


def split(bench: Bench) -> list[Path]:
    """The CSV file in two, at the end of a record."""
    halves = [bench.scratch / "half-1.csv", bench.scratch / "half-2.csv"]
    if not halves[0].exists():
        with bench.csv.open("rb") as source:
            record = f"\n{bench.rows // 2},".encode()  # begins with the number of the row
            size = bench.csv.stat().st_size
            source.seek(size // 2 - (size >> 6))
            begin = source.tell()
            middle = begin + source.read(size >> 4).index(record) + 1
        with bench.csv.open("rb") as source:
            with halves[0].open("wb") as half:
                while (left := middle - half.tell()) > 0:
                    half.write(source.read(min(left, 1 << 20)))
            with halves[1].open("wb") as half:
                shutil.copyfileobj(source, half, 1 << 20)
    return halves


def aws_to_postgresql(bench: Bench) -> None:
    url = bench.fresh()
    own = f"\\copy t from '{bench.aws}' (format text, delimiter ',')"
    best, peers = bench.turns(lambda: ours(str(bench.aws), url), {"psql \\copy": lambda: psql(url, own)}, emptying(url))
    report("the service's CSV to PostgreSQL", best, peers, 1.0)


def postgresql_to_csv(bench: Bench) -> None:
    url, out = bench.filled(), bench.scratch / "out.csv"
    own = f"\\copy t to '{out}' csv"
    best, peers = bench.turns(lambda: ours(url, str(out)), {"psql \\copy": lambda: psql(url, own)})
    report("PostgreSQL to CSV", best, peers, 1.0)


def postgresql_to_aws(bench: Bench) -> None:
    url, out = bench.filled(), bench.scratch / "out-aws.csv"
    own = f"\\copy t to '{out}' (format text, delimiter ',')"
    best, peers = bench.turns(lambda: ours(url, str(out)), {"psql \\copy": lambda: psql(url, own)})
    report("PostgreSQL to the service's CSV", best, peers, None)


def csv_to_parquet(bench: Bench) -> None:
    own = f"COPY (SELECT * FROM {read_csv(bench.csv)}) TO '{bench.parquet}' (FORMAT parquet)"
    best, peers = bench.turns(lambda: ours(str(bench.csv), str(bench.parquet)), {"DuckDB": lambda: duck(None, own)})
    report("CSV to Parquet", best, peers, 0.95)


def parquet_to_postgresql(bench: Bench) -> None:
    url = bench.fresh()
    duck(None, f"COPY (SELECT * FROM {read_csv(bench.csv)}) TO '{bench.parquet}' (FORMAT parquet)")
    own = f"INSERT INTO pg.t SELECT * FROM '{bench.parquet}'"
    best, peers = bench.turns(lambda: ours(str(bench.parquet), url), {"DuckDB": lambda: duck(url, own)}, emptying(url))
    report("Parquet to PostgreSQL", best, peers, 0.95)


def postgresql_to_parquet(bench: Bench) -> None:
    url = bench.filled()
    own = f"COPY pg.t TO '{bench.parquet}' (FORMAT parquet)"
    best, peers = bench.turns(lambda: ours(url, str(bench.parquet)), {"DuckDB": lambda: duck(url, own)})
    report("PostgreSQL to Parquet", best, peers, 0.95)


def sqlite(bench: Bench) -> None:
    """Into SQLite and back, beside its own shell."""
    file, out = bench.scratch / "rows.db", bench.scratch / "sqlite.csv"
    found = shutil.which("sqlite3")

    def tool(*commands: str) -> None:
        subprocess.run([str(found), str(file), ".mode csv", *commands], check=True)

    def empty() -> None:
        file.unlink(missing_ok=True)
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(CREATE)

    load = {"sqlite3 .import": (lambda: tool(f".import {bench.csv} t")) if found else None}
    best, peers = bench.turns(lambda: ours(str(bench.csv), f"sqlite:{file}"), load, empty)
    report("CSV to SQLite", best, peers, None)
    dump = {"sqlite3 .once": (lambda: tool(f".once {out}", "select * from t")) if found else None}
    best, peers = bench.turns(lambda: ours(f"sqlite:{file}", str(out)), dump)
    report("SQLite to CSV", best, peers, None)


def mariadb(bench: Bench) -> None:
    """Into MariaDB and back, beside its own client; the server is as it comes."""
    with mariadb_server(bench.scratch) as port:
        url, out = f"mysql://root@127.0.0.1:{port}/test", bench.scratch / "mariadb.csv"
        client = ["mariadb", "-h127.0.0.1", f"-P{port}", "-uroot", "--default-character-set=utf8mb4"]

        def run(statement: str) -> None:
            with out.open("wb") as stream:
                command = [*client, "--local-infile=1", "--batch", "--quick", "-e", statement]
                subprocess.run([*command, *([] if "DATABASE" in statement else ["test"])], check=True, stdout=stream)

        run("CREATE DATABASE test CHARACTER SET utf8mb4")
        run(CREATE.replace("timestamp", "datetime(6)").replace("numeric", "decimal"))
        how = "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY ''"
        own = f"LOAD DATA LOCAL INFILE '{bench.csv}' INTO TABLE t CHARACTER SET utf8mb4 {how}"
        best, peers = bench.turns(
            lambda: ours(str(bench.csv), url), {"LOAD DATA LOCAL": lambda: run(own)}, lambda: run("TRUNCATE t")
        )
        report("CSV to MariaDB", best, peers, 0.9)
        best, peers = bench.turns(lambda: ours(url, str(out)), {"mariadb --quick": lambda: run("SELECT * FROM t")})
        report("MariaDB to CSV", best, peers, 0.8)


@contextmanager
def mariadb_server(folder: Path) -> Iterator[int]:
    """A MariaDB of its own, with all settings as they come; gives its port."""
    data, port = folder / "mariadb", free_port()
    user = ["--user=root"] if os.geteuid() == 0 else []
    subprocess.run(
        [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            *user,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    server = [shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}", *user]
    server += [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={data / 's'}"]
    process = subprocess.Popen(server, stderr=subprocess.DEVNULL)
    try:
        ping = ["mariadb-admin", "--no-defaults", "-h127.0.0.1", f"-P{port}", "-uroot", "--wait=30", "--silent", "ping"]
        subprocess.run(ping, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        yield port
    finally:
        process.terminate()
        process.wait()


def batched(bench: Bench) -> None:
    """An insert that no bulk load takes, beside one that runs it for each row, of the first 100,000 rows."""
    import psycopg

    from penstock.data.formats import CSV, read_rows, write_rows

    url, part = bench.fresh(), bench.scratch / "part-aws.csv"
    rows: list[tuple[object, ...]] = []
    with bench.aws.open("rb") as stream:
        for batch in read_rows(stream, CSV()):
            rows += batch
            if len(rows) >= 100_000:
                break
    with part.open("wb") as out:
        write_rows(out, CSV(), [rows])
    places = "?::bigint, ?::int, ?::int, ?::numeric, ?::numeric, ?::timestamp, ?::timestamp, ?, ?, upper(?)"
    insert = f"INSERT INTO t VALUES ({places})"

    def loop() -> None:
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            for row in rows:
                cursor.execute(insert.replace("?", "%s").encode(), row)

    best, peers = bench.turns(lambda: ours(str(part), url, insert=insert), {"row by row": loop}, emptying(url))
    report("a batched insert", best, peers, 5)


PAIRS: dict[str, Callable[[Bench], None]] = {
    "csv-postgresql": csv_to_postgresql,
    "aws-postgresql": aws_to_postgresql,
    "postgresql-csv": postgresql_to_csv,
    "postgresql-aws": postgresql_to_aws,
    "csv-parquet": csv_to_parquet,
    "parquet-postgresql": parquet_to_postgresql,
    "postgresql-parquet": postgresql_to_parquet,
    "sqlite": sqlite,
    "mariadb": mariadb,
    "batched": batched,
}

if __name__ == "__main__":
    main()
