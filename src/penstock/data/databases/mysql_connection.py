"""A connection to MySQL or MariaDB: PyMySQL logs in and reads single packets, rows are read and sent in bulk here."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from select import POLLIN, POLLOUT, poll
from typing import Any

import pymysql
from pymysql.constants import COMMAND, SERVER_STATUS
from pymysql.err import raise_mysql_exception
from pymysql.protocol import FieldDescriptorPacket, LoadLocalPacketWrapper, OKPacketWrapper

from penstock.data.databases.address import Address
from penstock.data.databases.mysql_login import log_in
from penstock.data.databases.mysql_packets import Packets
from penstock.data.databases.mysql_stream import has_more, put_back, reader
from penstock.data.databases.mysql_values import literal
from penstock.data.databases.rows import DatabaseError

_PIECE = 1 << 17
_MODES_TAKEN_OFF = frozenset(("NO_ZERO_DATE", "NO_ZERO_IN_DATE", "NO_BACKSLASH_ESCAPES", "TRADITIONAL"))


@dataclass(frozen=True)
class Column:
    """A column of a result, as the server describes it. `charset` 63 is binary, `decimals` 31 none in particular."""

    name: str
    type: int
    flags: int
    charset: int
    length: int
    decimals: int


@dataclass(frozen=True)
class Done:
    """How a statement ended: rows changed, warnings of the server."""

    rows: int
    warnings: int


@dataclass(frozen=True)
class Result:
    """The columns of a query and its rows, which come as they are read."""

    columns: tuple[Column, ...]
    packets: Packets


class MysqlConnection:
    """Sends statements, and reads what comes back. Raises PyMySQL's errors; `mysql_errors` makes them ours."""

    def __init__(self, address: Address) -> None:
        options = dict(address.options)
        self._open: Packets | None = None
        self._sock = log_in(address, options)
        try:
            self._settle(options)
        except BaseException:
            self.close()
            raise

    @property
    def in_transaction(self) -> bool:
        """Whether statements are held back until a COMMIT."""
        return self.has_begun or not self.is_autocommit

    @property
    def has_begun(self) -> bool:
        """Whether a transaction has something in it that is not committed."""
        return bool(self._sock.server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    @property
    def is_autocommit(self) -> bool:
        """Whether each statement is a transaction of its own."""
        return bool(self._sock.server_status & SERVER_STATUS.SERVER_STATUS_AUTOCOMMIT)

    def run(self, statement: str) -> Done:
        """Run a statement to its end; rows that it gives are read and left."""
        packet = self._send(statement)
        while True:
            if packet.is_ok_packet():
                ok = OKPacketWrapper(packet)
                self._sock.server_status = ok.server_status
                if not ok.has_next:
                    return Done(ok.affected_rows, ok.warning_count)
            else:
                self._finish(self._result(packet).packets)
                if not self._more():
                    return Done(0, 0)
            packet = self._sock._read_packet()

    def query(self, statement: str, values: Sequence[object] = ()) -> list[tuple[str | None, ...]]:
        """The rows of a small query, as text; `values` take the places of `%s`."""
        packet = self._send(statement % tuple([literal(value) for value in values]) if values else statement)
        columns = self._result(packet).columns
        rows = []
        while not (row := self._sock._read_packet()).is_eof_packet():
            texts = [row.read_length_coded_string() for _ in columns]
            rows.append(tuple([None if text is None else text.decode() for text in texts]))
        self._sock.server_status = int.from_bytes(row.get_all_data()[3:5], "little")
        self._open = None
        return rows

    def result(self, statement: str) -> Result | None:
        """The rows of a query, to be read by `rows_of`; None for a statement that gives none."""
        packet = self._send(statement)
        if packet.is_ok_packet():
            self._sock.server_status = OKPacketWrapper(packet).server_status
            return None
        return self._result(packet)

    def prepare(self, statement: str) -> tuple[int, tuple[Column, ...]] | None:
        """The number and the columns of a prepared query; None for what the server does not prepare."""
        self._drain()
        self._sock._execute_command(COMMAND.COM_STMT_PREPARE, statement.encode())
        try:
            data = self._sock._read_packet().get_all_data()
        except pymysql.MySQLError:
            return None  # it is sent as it is, and refused with the message that people know
        parameters = int.from_bytes(data[7:9], "little")
        for _ in range(parameters + 1 if parameters else 0):
            self._sock._read_packet()
        count = int.from_bytes(data[5:7], "little")
        return int.from_bytes(data[1:5], "little"), self._columns(count) if count else ()

    def execute(self, number: int) -> Result:
        """The rows of a prepared query, in the binary protocol."""
        self._sock._execute_command(COMMAND.COM_STMT_EXECUTE, number.to_bytes(4, "little") + b"\0\1\0\0\0")
        return self._result(self._sock._read_packet())

    def forget(self, number: int) -> None:
        """Drop a prepared query."""
        self._drain()
        self._sock._execute_command(COMMAND.COM_STMT_CLOSE, number.to_bytes(4, "little"))

    def end_of(self, packets: Packets) -> None:
        """Take note that all rows were read; raises the error that ended them."""
        self._finish(packets)
        while self._more():
            packet = self._sock._read_packet()
            if packet.is_ok_packet():
                self._sock.server_status = OKPacketWrapper(packet).server_status
            else:
                self._finish(self._result(packet).packets)

    def load(self, statement: str, pieces: Iterable[bytes]) -> Done:
        """Run a LOAD DATA LOCAL whose file is the pieces. What the pieces raise is raised when the server has ended."""
        packet = self._send(statement)
        if packet.is_ok_packet():  # a LOAD DATA of nothing
            return Done(0, 0)
        LoadLocalPacketWrapper(packet)
        sock = self._sock
        try:
            for piece in pieces:
                for begin in range(0, len(piece), _PIECE):
                    self._check_listens()
                    sock.write_packet(piece[begin : begin + _PIECE])
        except BaseException:
            with suppress(Exception):  # there is no other way to end it; the caller undoes what has come so far
                sock.write_packet(b"")
                sock._read_packet()
            raise
        sock.write_packet(b"")
        ok = OKPacketWrapper(sock._read_packet())
        sock.server_status = ok.server_status
        return Done(ok.affected_rows, ok.warning_count)

    def _check_listens(self) -> None:
        """Wait until the server can take more; raises what it says instead, or that it is gone.

        One that ends the connection may leave it half open for a minute, with nobody to read what is sent.
        """
        channel = self._sock._sock
        if isinstance(channel, ssl.SSLSocket):  # there is more to read than answers
            return
        waiting = poll()
        waiting.register(channel, POLLIN | POLLOUT)
        ((_, found),) = waiting.poll()
        if found & ~POLLOUT:
            self._sock._read_packet()
            raise pymysql.OperationalError(2013, "the server does not take the rest of the data")

    def close(self) -> None:
        """End the connection at once, whatever it is doing."""
        with suppress(Exception):
            self._sock.close() if self._open is None else self._sock._force_close()

    def _settle(self, options: dict[str, str]) -> None:
        ((modes, collation),) = self.query("SELECT @@sql_mode, @@character_set_connection")
        wanted = [mode for mode in (modes or "").split(",") if mode and mode not in _MODES_TAKEN_OFF]
        names = f"SET NAMES utf8mb4 COLLATE {options['collation']}" if "collation" in options else ""
        if names or collation != "utf8mb4":
            self.run(names or "SET NAMES utf8mb4")
        zone = options.get("time_zone", "+00:00")
        settings = [
            f"sql_mode = {literal(','.join([*wanted, 'STRICT_ALL_TABLES']))}",
            "sql_notes = 1",
            "autocommit = 1",
        ]
        if zone != "SERVER":
            settings.append(f"time_zone = {literal(zone)}")
        self.run("SET " + ", ".join(settings))
        if options.get("session"):
            self.run(f"SET {options['session']}")

    def _send(self, statement: str) -> Any:
        self._drain()
        self._sock._execute_command(COMMAND.COM_QUERY, statement.encode())
        return self._sock._read_packet()

    def _drain(self) -> None:
        """Read what is left of rows that nobody reads."""
        if self._open is not None:
            packets = self._open
            for _ in packets.chunks():
                pass
            self.end_of(packets)

    def _result(self, packet: Any) -> Result:
        if packet.is_load_local_packet():
            self._sock._force_close()
            raise DatabaseError("LOAD DATA LOCAL of a script is refused: the file is no part of it. Use CopyActivity.")
        columns = self._columns(packet.read_length_encoded_integer())
        self._open = Packets(reader(self._sock._rfile), partial(has_more, self._sock._sock))
        return Result(columns, self._open)

    def _columns(self, count: int) -> tuple[Column, ...]:
        fields = [self._sock._read_packet(FieldDescriptorPacket) for _ in range(count)]
        self._sock._read_packet()
        return tuple([Column(f.name, f.type_code, f.flags, f.charsetnr, f.length, f.scale) for f in fields])

    def _finish(self, packets: Packets) -> None:
        for _ in packets.chunks():
            pass
        self._open = None
        rest = packets.rest()
        if rest:
            self._sock._rfile = put_back(rest, self._sock._rfile)
        self._sock._next_seq_id = (packets.number + 1) % 256
        if packets.last[0] == 0xFF:
            raise_mysql_exception(packets.last)
        self._sock.server_status = int.from_bytes(packets.last[3:5], "little")

    def _more(self) -> bool:
        return bool(self._sock.server_status & SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS)


def rows_of(connection: MysqlConnection, result: Result) -> Iterator[Any]:
    """The chunks of a result; its error is raised after the last."""
    yield from result.packets.chunks()
    connection.end_of(result.packets)
