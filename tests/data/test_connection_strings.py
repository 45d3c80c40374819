"""How connection strings are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.data.databases import Address, DatabaseError, connect, parse_connection_string


def parse(text: str, **given: str) -> Address:
    return parse_connection_string(text, folder=Path("/data"), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "host", "port", "database"),
    [
        ("jdbc:postgresql://db.example:5433/sales", "db.example", "5433", "sales"),
        ("postgresql://db.example/sales", "db.example", "", "sales"),
        ("postgres://db.example", "db.example", "", ""),
        ("JDBC:PostgreSQL://[::1]:5432/my%20db", "::1", "5432", "my db"),
        ("jdbc:postgresql://one:1,two/sales", "one,two", "1,", "sales"),
        ("jdbc:postgresql:sales", "", "", "sales"),
        ("jdbc:postgresql:///sales", "", "", "sales"),
    ],
)
def test_a_postgresql_address_has_host_port_and_database(text: str, host: str, port: str, database: str) -> None:
    address = parse(text)
    assert (address.dialect, address.host, address.port, address.database) == ("postgresql", host, port, database)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://me:p%40ss%2F@h/d",
        "jdbc:postgresql://h/d?user=me&password=p%40ss%2F",
        "jdbc:postgresql://me@h/d?password=p%40ss/",
    ],
)
def test_user_and_password_may_be_in_the_string(text: str) -> None:
    address = parse(text)
    assert (address.username, address.password) == ("me", "p@ss/")


def test_fields_win_over_the_string() -> None:
    address = parse("postgresql://me:secret@h/d", username="you", password="hidden", database="other")
    assert (address.username, address.password, address.database) == ("you", "hidden", "other")


def test_a_password_is_not_shown() -> None:
    address = parse("jdbc:postgresql://me:secret@h:1/d?sslpassword=secret")
    assert "secret" not in repr(address) + str(address)
    assert str(address) == "postgresql://h:1/d"


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("sslmode=require&connectTimeout=5", {"sslmode": "require", "connect_timeout": "5"}),
        ("ssl=true", {"sslmode": "verify-full"}),
        ("ssl=true&sslfactory=org.postgresql.ssl.NonValidatingFactory", {"sslmode": "require"}),
        ("ssl=true&sslmode=prefer", {"sslmode": "prefer"}),
        ("currentSchema=sales", {"options": "-c search_path=sales"}),
        ("ApplicationName=etl&prepareThreshold=0&tcpKeepAlive=true", {"application_name": "etl"}),
    ],
)
def test_jdbc_parameters_mean_what_they_mean_in_java(query: str, options: dict[str, str]) -> None:
    assert dict(parse(f"jdbc:postgresql://h/d?{query}").options) == options


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("jdbc:sqlite:sales.db", "/data/sales.db"),
        ("sqlite:sub/sales", "/data/sub/sales"),
        ("jdbc:sqlite:/srv/sales.db", "/srv/sales.db"),
        ("sqlite:///srv/sales.db", "/srv/sales.db"),
        ("sqlite://sales.db", "/data/sales.db"),
        ("sqlite:sales.db?foreign_keys=on", "/data/sales.db"),
    ],
)
def test_a_sqlite_address_is_a_file(text: str, path: str) -> None:
    assert parse(text) == Address("sqlite", database=path)


@pytest.mark.parametrize(
    ("text", "host", "port", "database"),
    [
        ("jdbc:mysql://db.example:3307/sales", "db.example", "3307", "sales"),
        ("jdbc:mariadb://db.example/sales", "db.example", "", "sales"),
        ("mysql://db.example", "db.example", "", ""),
        ("jdbc:mysql:///sales", "localhost", "", "sales"),
        ("jdbc:mysql:aws://one,two:3307/sales", "one,two", ",3307", "sales"),
        ("jdbc:mysql:loadbalance://one,two/sales", "one,two", "", "sales"),
        ("jdbc:mariadb:aurora://[::1]:3306/my%20db", "::1", "3306", "my db"),
    ],
)
def test_a_mysql_address_has_host_port_and_database(text: str, host: str, port: str, database: str) -> None:
    address = parse(text, username="me")
    assert (address.dialect, address.host, address.port, address.database) == ("mysql", host, port, database)
    assert address.username == "me" and str(address) == f"mysql://{host}{port and ':' + port}/{database}"


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("useSSL=false&serverTimezone=UTC", {"ssl": "disabled", "time_zone": "+00:00"}),
        ("useSSL=true", {"ssl": "preferred"}),
        ("useSSL=true&requireSSL=true", {"ssl": "required"}),
        ("useSSL=true&verifyServerCertificate=true", {"ssl": "verify-ca"}),
        ("sslMode=VERIFY_IDENTITY&useSSL=false", {"ssl": "verify-identity"}),
        ("sslMode=verify-full&serverSslCert=file:///srv/ca.pem", {"ssl": "verify-identity", "ssl_ca": "/srv/ca.pem"}),
        ("connectTimeout=2500&socketTimeout=0", {"connect_timeout": "2.5"}),
        ("connectionTimeZone=GMT%2B5:30", {"time_zone": "+05:30"}),
        ("serverTimezone=Europe/Berlin", {"time_zone": "Europe/Berlin"}),
        ("zeroDateTimeBehavior=convertToNull", {"zero_dates": "null"}),
        ("characterEncoding=UTF-8&useUnicode=yes&rewriteBatchedStatements=true&autoReconnect=true", {}),
        ("user=me&password=secret", {}),
    ],
)
def test_parameters_of_mysqls_java_driver_mean_what_they_mean_there(query: str, options: dict[str, str]) -> None:
    assert dict(parse(f"jdbc:mysql://h/d?{query}").options) == options


def test_a_sqlite_file_may_be_named_by_the_database_name() -> None:
    assert parse("jdbc:sqlite:", database="sales").database == "/data/sales"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("jdbc:mysql:secret", "no readable host. Write jdbc:mysql://host:port/database"),
        ("jdbc:mysql://address=(host=h)(password=secret)/d", "no readable host"),
        ("mysql://me:sec:ret@h:port/d", "no readable host and port.*jdbc:mysql://host"),
        ("mysql://h/d?sslmod=require", "MySQL has no connection parameter 'sslmod'"),
        ("jdbc:mysql://h/d?sslMode=some", "sslMode is 'some'. Give DISABLED, PREFERRED"),
        ("jdbc:mysql://h/d?connectTimeout=5s", "connecttimeout is '5s'. Give a number of milliseconds"),
        ("jdbc:mysql://h/d?zeroDateTimeBehavior=none", "zeroDateTimeBehavior is 'none'. Give CONVERT_TO_NULL"),
        ("jdbc:redshift:iam://c:eu-west-1/d", "jdbc:redshift:iam: need temporary passwords"),
        ("jdbc:duckdb:", "names no DuckDB file. Write duckdb:NAME"),
        ("duckdb:../x.db", "lies outside of the data folder"),
        ("jdbc:oracle:thin:@//h:1521/secret", "Oracle.*not built yet"),
        ("jdbc:sqlserver://h;password=secret", "SQL Server.*not built yet"),
        ("jdbc:nosuch:secret", "'nosuch:' is not a known kind of database.*jdbc:postgresql://host"),
        ("secret", "names no kind of database"),
        ("", "names no kind of database"),
        ("jdbc:sqlite::memory:", "in memory .*each connection would have an empty one of its own"),
        ("sqlite:", "names no SQLite file"),
        ("jdbc:sqlite:file:x.db", "is not the name of a SQLite file"),
        ("jdbc:sqlite:../outside.db", "lies outside of the data folder. Write an absolute path"),
        ("jdbc:sqlite:/", "is a folder"),
        ("postgresql://me:sec:ret@h:port/d", "no readable host and port"),
        ("postgresql://me:secret/@h/d", "no readable host and port"),
        ("postgresql://h/d?sslmod=require", "has no connection parameter 'sslmod'"),
    ],
)
def test_other_strings_are_refused_without_their_text(text: str, problem: str) -> None:
    with pytest.raises(DatabaseError, match=problem) as caught:
        parse(text)
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_without_the_password() -> None:
    address = parse("jdbc:postgresql://127.0.0.1:1/d?user=me&password=secret")
    with pytest.raises(DatabaseError, match=r"Cannot connect to postgresql://127.0.0.1:1/d: .*refused") as caught:
        connect(address)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but a text that is long enough to be read as one\n" * 20)
    with pytest.raises(DatabaseError, match=r"Cannot open sqlite:.*file is not a database"):
        connect(Address("sqlite", database=str(tmp_path / "text")))
