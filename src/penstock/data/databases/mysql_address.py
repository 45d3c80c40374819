"""What the parameters of Connector/J and of MariaDB's connector mean here; those that only tune Java mean nothing.

| parameter | here |
|---|---|
| `sslMode`, `useSSL`, `requireSSL`, `verifyServerCertificate`, `serverSslCert` | how the connection is encrypted |
| `connectTimeout`, `socketTimeout` | in milliseconds |
| `serverTimezone`, `connectionTimeZone` | the zone of TIMESTAMP values; UTC without it |
| `zeroDateTimeBehavior` | what `0000-00-00` is read as: itself without it |
| `sessionVariables`, `connectionCollation` | set at the start of a session |
| `createDatabaseIfNotExist` | makes the database |
| `characterEncoding` | nothing: text is UTF-8 here, and the server converts it |
"""

from __future__ import annotations

import re

from penstock.data.databases.rows import DatabaseError

_SSL_MODES = {
    "disabled": "disabled",
    "disable": "disabled",
    "preferred": "preferred",
    "required": "required",
    "trust": "required",
    "verify_ca": "verify-ca",
    "verify_identity": "verify-identity",
    "verify_full": "verify-identity",
}
_ZERO_DATES = {"converttonull": "null", "round": "round", "exception": "exception"}
_OF_THE_LOGIN = frozenset(("user", "password"))
KINDS = re.compile(r"(?:aws|aurora|sequential|loadbalance|replication|failover):(?=//)", re.IGNORECASE)
"""What stands between `mysql:` and the hosts for several of them; they are tried one after the other."""


def options_of(given: dict[str, str], *, is_jdbc: bool) -> dict[str, str]:
    """The options of an address. Raises `DatabaseError` for a value that is none of the parameter's."""
    options: dict[str, str] = {}
    low = {key.lower(): value for key, value in given.items()}
    _encryption(low, options)
    for key, value in low.items():
        if key in ("connecttimeout", "sockettimeout"):
            if not value.isdecimal():
                raise DatabaseError(f"{key} is {value!r}. Give a number of milliseconds.")
            if int(value):
                options["connect_timeout" if key == "connecttimeout" else "timeout"] = str(int(value) / 1000)
        elif key in ("servertimezone", "connectiontimezone", "timezone"):
            options["time_zone"] = _zone(value)
        elif key == "zerodatetimebehavior":
            behavior = value.lower().replace("_", "")
            if behavior not in _ZERO_DATES:
                raise DatabaseError(f"zeroDateTimeBehavior is {value!r}. Give CONVERT_TO_NULL, ROUND or EXCEPTION.")
            options["zero_dates"] = _ZERO_DATES[behavior]
        elif key == "sessionvariables":
            options["session"] = value
        elif key == "connectioncollation":
            if re.fullmatch(r"utf8mb4_\w+", value):
                options["collation"] = value
        elif key == "createdatabaseifnotexist":
            options["create"] = value.lower()
        elif key in ("localsocket", "unixsocket", "unix_socket"):
            options["socket"] = value
        elif not is_jdbc and key not in _OF_THE_LOGIN and key not in _ENCRYPTION and key not in ("charset",):
            raise DatabaseError(f"MySQL has no connection parameter '{key}'.")
    return options


_ENCRYPTION = frozenset(("sslmode", "usessl", "requiressl", "verifyservercertificate", "serversslcert", "sslca"))


def _encryption(given: dict[str, str], options: dict[str, str]) -> None:
    if "sslmode" in given:
        mode = given["sslmode"].lower().replace("-", "_")
        if mode not in _SSL_MODES:
            raise DatabaseError(
                f"sslMode is {given['sslmode']!r}. Give DISABLED, PREFERRED, REQUIRED, VERIFY_CA or VERIFY_IDENTITY."
            )
        options["ssl"] = _SSL_MODES[mode]
    elif "usessl" in given:
        verified = given.get("verifyservercertificate", "false").lower() == "true"
        required = given.get("requiressl", "false").lower() == "true"
        if given["usessl"].lower() == "true":
            options["ssl"] = "verify-ca" if verified else "required" if required else "preferred"
        else:
            options["ssl"] = "disabled"
    certificate = given.get("serversslcert") or given.get("sslca")
    if certificate:
        options["ssl_ca"] = re.sub(r"\Afile:(?://)?", "", certificate)
        options.setdefault("ssl", "verify-ca")


def _zone(value: str) -> str:
    """A time zone as MySQL takes it; names other than UTC need the server's tables of time zones."""
    offset = re.fullmatch(r"(?:GMT|UTC)?([+-])(\d{1,2})(?::?(\d\d))?", value.strip())
    if offset:
        return f"{offset[1]}{offset[2]:0>2}:{offset[3] or '00'}"
    if value.strip().upper() in ("UTC", "GMT", "Z", "LOCAL", "ETC/UTC", "AUTO", ""):
        return "+00:00"
    return "SERVER" if value.strip().upper() == "SERVER" else value.strip()
