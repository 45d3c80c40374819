"""A connection to MySQL or MariaDB: PyMySQL logs in and reads single packets, rows are read and sent in bulk here."""

from __future__ import annotations

import io
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from select import POLLIN, POLLOUT, poll
from typing import Any

import pymysql
from pymysql.constants import CLIENT, COMMAND, SERVER_STATUS
from pymysql.err import raise_mysql_exception
from pymysql.protocol import FieldDescriptorPacket, LoadLocalPacketWrapper, OKPacketWrapper

from penstock.data.databases.address import Address
from penstock.data.databases.mysql_packets import EndOfStream, Packets
from penstock.data.databases.mysql_values import literal
from penstock.data.databases.rows import ConnectionLost, DatabaseError

_LOST = frozenset((1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1927, 2003, 2006, 2013, 2055, 4031))
"""Shutdown, a killed or aborted connection, and errors of the network."""
_PIECE = 1 << 17
_MOMENT = 2
"""Milliseconds."""
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
    """Sends statements, and reads what comes back. Raises PyMySQL's errors; `errors` makes them ours."""

    def __init__(self, address: Address) -> None:
        options = dict(address.options)
        self._open: Packets | None = None
        self._sock = _connect(address, options)
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
        self._open = Packets(_reader(self._sock._rfile), partial(_has_more, self._sock._sock))
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
            self._sock._rfile = io.BufferedReader(_Unread(rest, self._sock._rfile.detach()))
        self._sock._next_seq_id = (packets.number + 1) % 256
        if packets.last[0] == 0xFF:
            raise_mysql_exception(packets.last)
        self._sock.server_status = int.from_bytes(packets.last[3:5], "little")

    def _more(self) -> bool:
        return bool(self._sock.server_status & SERVER_STATUS.SERVER_MORE_RESULTS_EXISTS)


def _reader(stream: io.BufferedReader) -> Callable[[memoryview], int]:
    """Reads what PyMySQL has read ahead, and then past its small buffer."""
    is_ahead = True

    def read_into(view: memoryview) -> int:
        nonlocal is_ahead
        try:
            if not is_ahead:
                return int(stream.raw.readinto(view) or 0)
            ahead = len(stream.peek(1))
            is_ahead = ahead > len(view)
            return stream.readinto(view[:ahead])
        except OSError as error:
            raise EndOfStream(str(error)) from error

    return read_into


def _has_more(sock: socket.socket) -> bool:
    """Whether bytes can be read, or come within a moment in which a server that has some would send them."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    waiting = poll()
    waiting.register(sock, POLLIN)
    return bool(waiting.poll(_MOMENT))


class _Unread(io.RawIOBase):
    """A stream before which some bytes are put back."""

    def __init__(self, ahead: bytes, stream: io.RawIOBase) -> None:
        self._ahead = ahead
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if not self._ahead:
            return self._stream.readinto(buffer)
        count = min(len(buffer), len(self._ahead))
        buffer[:count] = self._ahead[:count]
        self._ahead = self._ahead[count:]
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


def rows_of(connection: MysqlConnection, result: Result) -> Iterator[Any]:
    """The chunks of a result; its error is raised after the last."""
    yield from result.packets.chunks()
    connection.end_of(result.packets)


@contextmanager
def errors(what: str | Callable[[], str]) -> Iterator[None]:
    """Turn the driver's errors into ours; `what` says what was being done, or is called to say it."""
    try:
        yield
    except (pymysql.MySQLError, EndOfStream) as error:
        code, message = _code_and_message(error)
        done = what() if callable(what) else what
        if code in _LOST:
            raise ConnectionLost(f"The connection to MySQL broke at {done}: {message}.") from error
        raise DatabaseError(f"MySQL refused {done}: {message}.") from error


def _code_and_message(error: BaseException) -> tuple[int, str]:
    if isinstance(error, pymysql.InterfaceError):
        return 2006, "it is closed"
    if isinstance(error, EndOfStream):
        return 2013, " ".join(str(error).split()).rstrip(".") or "the server closed it"
    if len(error.args) > 1 and isinstance(error.args[0], int):
        return error.args[0], " ".join(str(error.args[1]).split()).rstrip(".")
    return 0, " ".join(str(error).split()).rstrip(".")


def _connect(address: Address, options: dict[str, str]) -> Any:
    """PyMySQL's connection, to the first of several hosts that takes it."""
    hosts = address.host.split(",")
    ports = address.port.split(",") if address.port else []
    problem = ""
    for index, host in enumerate(hosts):
        port = ports[index] if index < len(ports) else ""
        try:
            return _connect_to(address, options, host or "localhost", int(port or 3306))
        except (pymysql.MySQLError, OSError, ValueError) as error:
            problem = _without_secret(_code_and_message(error)[1], address.password)
    raise DatabaseError(f"Cannot connect to {address}: {problem}.")


def _connect_to(address: Address, options: dict[str, str], host: str, port: int) -> Any:
    creates = options.get("create") == "true" and address.database
    connection = pymysql.connect(
        host=host,
        port=port,
        unix_socket=options.get("socket"),
        user=address.username or "",
        password=(address.password or "").encode(),  # text would be taken for Latin-1
        database=None if creates else address.database or None,
        charset="utf8mb4",
        connect_timeout=max(1, float(options.get("connect_timeout", 30))),
        read_timeout=float(options["timeout"]) if "timeout" in options else None,
        write_timeout=float(options["timeout"]) if "timeout" in options else None,
        client_flag=CLIENT.LOCAL_FILES,  # for ours alone: PyMySQL would send any file that a server asks for
        local_infile=False,
        autocommit=None,
        program_name="penstock",
        **_encryption(options),
    )
    if creates:
        name = "`" + address.database.replace("`", "``") + "`"
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE IF NOT EXISTS {name}")
        connection.select_db(address.database)
    return connection


def _encryption(options: dict[str, str]) -> dict[str, Any]:
    """What PyMySQL is told for `ssl`: `disabled`, `preferred`, `required`, `verify-ca` or `verify-identity`."""
    mode = options.get("ssl", "preferred")
    if mode == "preferred":
        return {}
    if mode == "disabled":
        return {"ssl_disabled": True}
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca"))
    except OSError as error:
        raise DatabaseError(f"The certificate {options.get('ssl_ca')} cannot be read: {error}.") from None
    context.check_hostname = mode == "verify-identity"
    context.verify_mode = ssl.CERT_NONE if mode == "required" else ssl.CERT_REQUIRED
    return {"ssl": context}


def _without_secret(message: str, secret: str | None) -> str:
    return re.sub(re.escape(secret), "…", message) if secret and len(secret) > 3 else message
