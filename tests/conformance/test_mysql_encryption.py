"""Connections to MariaDB by TLS, as connection strings ask for them, with a certificate of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mariadb import NoMariadb, find_programs, running_mariadb

from certificates import Pair, make_pair
from penstock.data.copy import FileSide, TableSide, copy
from penstock.data.databases import DatabaseError, connect, parse_connection_string
from penstock.data.local_folder import LocalFolder

pytestmark = pytest.mark.by_hand


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture(scope="module")
def server(pair: Pair) -> Iterator[str]:
    """Host and port of a server with the certificate, which lets `strict` in by TLS only."""
    try:
        find_programs()
    except NoMariadb as reason:
        pytest.skip(str(reason))
    pair.cert.parent.chmod(0o755)
    settings = [f"--ssl-cert={pair.cert}", f"--ssl-key={pair.key}", f"--ssl-ca={pair.cert}"]
    with running_mariadb(*settings) as url:
        with connect(parse_connection_string(url, folder=Path())) as database:
            database.execute_script(
                "create user strict identified by 'pw' require ssl; create database d; grant all on d.* to strict"
            )
        yield url.partition("@")[2].partition("/")[0]


def cipher(server: str, options: str, **login: str) -> str:
    """What the session is encrypted by; nothing if it is not."""
    url = f"jdbc:mysql://{server}/mysql{options}"
    address = parse_connection_string(url, username="root", folder=Path(), **login)
    with connect(address) as database:
        (row,) = [row for batch in database.select("show session status like 'Ssl_cipher'").batches for row in batch]
    return str(row[1])


@pytest.mark.parametrize(
    "options",
    [
        "",
        "?sslMode=PREFERRED",
        "?sslMode=REQUIRED",
        "?sslMode=trust",
        "?useSSL=true",
        "?useSSL=true&requireSSL=true",
        "?useSSL=true&requireSSL=true&verifyServerCertificate=false",
    ],
)
def test_a_connection_is_encrypted_without_asking_whose_server_it_is(server: str, options: str) -> None:
    assert cipher(server, options)


@pytest.mark.parametrize("options", ["?sslMode=DISABLED", "?useSSL=false", "?sslMode=disable&useSSL=true"])
def test_a_connection_is_not_encrypted_if_that_is_asked_for(server: str, options: str) -> None:
    assert not cipher(server, options)


@pytest.mark.parametrize(
    "options",
    [
        "?sslMode=VERIFY_CA&serverSslCert={ca}",
        "?sslMode=VERIFY_IDENTITY&serverSslCert={ca}",
        "?sslMode=verify-full&serverSslCert=file:{ca}",
        "?sslMode=VERIFY_CA&sslCa={ca}",
        "?serverSslCert={ca}",
        "?useSSL=true&verifyServerCertificate=true&serverSslCert={ca}",
    ],
)
def test_a_server_with_the_right_certificate_is_trusted(server: str, pair: Pair, options: str) -> None:
    assert cipher(server, options.format(ca=pair.cert))


def test_a_server_with_another_certificate_is_refused(server: str, pair: Pair, tmp_path: Path) -> None:
    other = make_pair(tmp_path / "other", "127.0.0.1")
    for options in (
        f"?sslMode=VERIFY_CA&serverSslCert={other.cert}",
        f"?sslMode=VERIFY_IDENTITY&serverSslCert={other.cert}",
        "?sslMode=VERIFY_CA",
        "?useSSL=true&verifyServerCertificate=true",
    ):
        with pytest.raises(DatabaseError, match=r"Cannot connect to mysql://.*certificate verify failed"):
            cipher(server, options)
    name = server.replace("127.0.0.1", "localhost")
    assert cipher(name, f"?sslMode=VERIFY_CA&serverSslCert={pair.cert}")
    with pytest.raises(DatabaseError, match=r"Cannot connect to mysql://localhost.*[Hh]ostname mismatch"):
        cipher(name, f"?sslMode=VERIFY_IDENTITY&serverSslCert={pair.cert}")


def test_a_certificate_that_cannot_be_read_is_named(server: str, tmp_path: Path) -> None:
    for content in (None, b"no certificate"):
        if content is not None:
            (tmp_path / "ca.pem").write_bytes(content)
        with pytest.raises(DatabaseError, match=rf"The certificate {tmp_path}/ca.pem cannot be read"):
            cipher(server, f"?sslMode=VERIFY_CA&serverSslCert={tmp_path}/ca.pem")
    with pytest.raises(DatabaseError, match=r"sslMode is .always.\. Give DISABLED, PREFERRED, REQUIRED"):
        cipher(server, "?sslMode=always")


def test_a_user_who_must_encrypt_gets_in_by_tls_only(server: str, tmp_path: Path) -> None:
    url = f"mysql://strict:pw@{server}/d"
    with pytest.raises(DatabaseError, match="Access denied for user 'strict'"):
        connect(parse_connection_string(f"jdbc:{url}?sslMode=DISABLED", folder=Path()))
    storage = LocalFolder(tmp_path)
    with storage.create("s3://b/in") as stream:
        stream.write(b"".join([b"%d,%s\n" % (number, b"x" * 500) for number in range(20_000)]))
    address = parse_connection_string(url, folder=Path())
    target = TableSide(address, "t", create_table_sql="create table t (a int primary key, b text)")
    assert copy(FileSide(storage, "s3://b/in"), target).rows == 20_000
    query = TableSide(address, "t", select_query="select * from t order by a")
    for way in ("bulk", "rows"):
        if way == "rows":
            query = TableSide(address, "t", select_query="select a, b, 1e0 as c from t order by a")
        done = copy(query, FileSide(storage, "s3://b/out"))
        assert (done.way, done.rows) == (way, 20_000)


def test_required_is_not_content_with_a_server_that_does_not_encrypt() -> None:
    with running_mariadb("--skip-ssl") as url:
        server = url.partition("@")[2].partition("/")[0]
        assert not cipher(server, "?sslMode=PREFERRED")
        for options in ("?sslMode=REQUIRED", "?useSSL=true&requireSSL=true", "?sslMode=VERIFY_CA"):
            with pytest.raises(DatabaseError, match=r"Cannot connect to mysql://.*(SSL|TLS)"):
                cipher(server, options)
