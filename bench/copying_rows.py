"""The table that bench/copying.py copies, as files: seeded, the same bytes every time."""

from __future__ import annotations

import random
from pathlib import Path

COLUMNS = """id bigint, store integer, quantity integer, price numeric(12, 2), tax numeric(12, 4),
    created timestamp, shipped timestamp, code text, city text, note text"""
ROWS = 5_000_000
_CITIES = [
    "Rovaniemi",
    "Århus",
    "São Paulo",
    "Łódź",
    "Αθήνα",
    "Москва",
    "東京",
    "Kraków",
    "Reykjavík",
    "Washington, D.C.",
]
_TEXT = (
    'deliver to the back door, please; the "blue" one fragile größer naïve left with neighbour 10% off, as agreed'
    " call before 8:00 ça va возврат 返品 C:\\temp\\x and then some more words that make it long"
)
_WORDS = _TEXT.split()


def write_files(folder: Path, name: str, rows: int) -> None:
    """Write NAME.csv (RFC 4180; NULL is an unquoted empty field) and NAME-aws.csv (the service's own CSV)."""
    random_ = random.Random(20131001)
    notes = [None, None, *(_note(random_) for _ in range(4094))]
    quoted, escaped = [_quoted(note) for note in notes], [_escaped(note) for note in notes]
    codes = ["", "NULL", None, *(f"A{random_.randrange(10**6):06d}" for _ in range(1021))]
    quoted_codes, escaped_codes = [_quoted(code) for code in codes], [_escaped(code) for code in codes]
    quoted_cities = [_quoted(city) for city in _CITIES] + [""]
    escaped_cities = [_escaped(city) for city in _CITIES] + ["\\N"]
    days = [f"20{11 + day // 336}-{1 + day // 28 % 12:02d}-{1 + day % 28:02d}" for day in range(1024)]
    seconds = [f"{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}" for n in range(0, 86400, 7)]
    bits = random_.getrandbits
    temporary, temporary_aws = folder / f"{name}.csv.part", folder / f"{name}-aws.csv.part"
    with temporary.open("wb") as csv, temporary_aws.open("wb") as aws:
        lines, lines_aws = [], []
        for number in range(1, rows + 1):
            r = bits(96)
            store, code, city, note = r & 4095, r >> 12 & 1023, (r >> 22 & 1023) % 11, r >> 32 & 4095
            quantity, cents = r >> 44 & 127, (r >> 51 & 0xFFFFF) - 50_000
            created = f"{days[r >> 71 & 1023]} {seconds[(r >> 81) % len(seconds)]}"
            start = f"{number},{store}"
            price = f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"
            tax = f"{(r >> 51) & 0x3FF}.{r & 0x1FFF:04d}"
            shipped = f"{created}.{r & 0xFFFF | 1:06d}"
            lines.append(
                f"{start},{quantity or ''},{price},{tax if store & 15 else ''},{created},"
                f"{shipped if city else ''},{quoted_codes[code]},{quoted_cities[city]},{quoted[note]}\n"
            )
            lines_aws.append(
                f"{start},{quantity or _N},{price},{tax if store & 15 else _N},{created},"
                f"{shipped if city else _N},{escaped_codes[code]},{escaped_cities[city]},{escaped[note]}\n"
            )
            if len(lines) == 20_000 or number == rows:
                csv.write("".join(lines).encode())
                aws.write("".join(lines_aws).encode())
                lines, lines_aws = [], []
    temporary_aws.replace(folder / f"{name}-aws.csv")
    temporary.replace(folder / f"{name}.csv")


_N = "\\N"


def _note(random_: random.Random) -> str:
    text = " ".join(random_.choices(_WORDS, k=random_.randrange(8, 31)))
    return text.replace(" and ", "\n") if random_.random() < 0.9 else f"{text}\r\n-- \n{text[:20]}"


def _quoted(text: str | None) -> str:
    if text is None:
        return ""
    if not text or any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _escaped(text: str | None) -> str:
    if text is None:
        return _N
    for mark in "\\,\n\r":
        text = text.replace(mark, "\\" + mark)
    return text
