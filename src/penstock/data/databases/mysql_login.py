"""Logging in to MySQL or MariaDB: the first of several hosts that takes the connection, encrypted as it is wanted."""

from __future__ import annotations

import re
import ssl
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from penstock.data.databases.address import Address
from penstock.data.databases.mysql_errors import code_and_message
from penstock.data.databases.rows import DatabaseError


def log_in(address: Address, options: dict[str, str]) -> Any:
    """PyMySQL's connection, to the first of several hosts that takes it.

    Raises `DatabaseError`, which shows no password.
    """
    hosts = address.host.split(",")
    ports = address.port.split(",") if address.port else []
    problem = ""
    for index, host in enumerate(hosts):
        port = ports[index] if index < len(ports) else ""
        try:
            return _connect_to(address, options, host or "localhost", int(port or 3306))
        except (pymysql.MySQLError, OSError, ValueError) as error:
            problem = _without_secret(code_and_message(error)[1], address.password)
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
