"""An S3 endpoint that breaks off, throttles, refuses, and has what others change meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from faulty_proxy import SLOW_DOWN, Fault, FaultyProxy, answer

from penstock.data import object_streams, s3_storage
from penstock.data.s3_client import client_of
from penstock.data.s3_storage import S3Storage
from penstock.data.storage import NoPermission, NoSuchBucket, NoSuchKey, ObjectChanged, StorageError, copy_between
from penstock.storage_settings import S3Setting

pytestmark = pytest.mark.by_hand

URI = "s3://faults/object"
MIB = 1 << 20


@pytest.fixture
def storage(seaweedfs_server: S3Setting) -> S3Storage:
    made = S3Storage(seaweedfs_server)
    for entry in made.list("s3://faults/"):
        made.delete(entry.uri)
    return made


@pytest.fixture
def proxy(seaweedfs_server: S3Setting) -> Iterator[FaultyProxy]:
    made = FaultyProxy(int((seaweedfs_server.endpoint or "").rpartition(":")[2]))
    yield made
    made.close()


@pytest.fixture
def behind(proxy: FaultyProxy, seaweedfs_server: S3Setting, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    """The same storage through the proxy; retries do not pause."""
    import botocore.endpoint

    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))
    made = S3Storage(replace(seaweedfs_server, endpoint=proxy.endpoint, max_attempts=4))
    assert not made.exists("s3://faults/nothing")
    proxy.requests.clear()
    return made


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranges of 64 KiB, and parts of 5 MiB, which is the least that S3 takes."""
    for module in (object_streams, s3_storage):
        monkeypatch.setattr(module, "RANGE", 65536)
    monkeypatch.setattr(object_streams, "PART", 5 * MIB)
    monkeypatch.setattr(s3_storage, "COPY_PART", 5 * MIB)


def put(storage: S3Storage, data: bytes, uri: str = URI) -> None:
    with storage.create(uri) as stream:
        stream.write(data)


def get(storage: S3Storage, uri: str = URI) -> bytes:
    with storage.open(uri) as stream:
        return stream.read()


def test_a_read_that_breaks_off_goes_on_from_there(storage: S3Storage, behind: S3Storage, proxy: FaultyProxy) -> None:
    data = os.urandom(3 * MIB)
    put(storage, data)
    proxy.faults = [Fault(b"GET", bytes_before_reset=2 * MIB), Fault(b"GET", bytes_before_reset=MIB // 2)]
    assert get(behind) == data
    first, second, *_ = [head for head in proxy.requests if head.startswith("GET")]
    assert "bytes=0-" in first
    assert "If-Match" in second
    assert "bytes=0-" not in second


def test_an_object_that_is_changed_while_it_is_read_is_an_error(
    storage: S3Storage, behind: S3Storage, proxy: FaultyProxy
) -> None:
    changes: list[Callable[[], object]] = [lambda: put(storage, b"other"), lambda: storage.delete(URI)]
    for change in changes:
        put(storage, os.urandom(3 * MIB))
        proxy.faults = [Fault(b"GET", bytes_before_reset=MIB, then=change)]
        with pytest.raises(ObjectChanged, match="s3://faults/object was changed or removed while it was read"):
            get(behind)


def test_a_connection_that_always_breaks_off_is_given_up(
    behind: S3Storage, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.data.s3_transfer.time", SimpleNamespace(sleep=lambda seconds: None))
    nothing = (
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-99/100\r\nContent-Length: 100\r\n"
        b'ETag: "1"\r\nConnection: close\r\n\r\n'
    )
    proxy.faults = [Fault(b"GET", nothing) for _ in range(20)]
    with pytest.raises(StorageError, match=r"breaks off after 0 of 100 bytes, 4 times: "):
        get(behind)
    assert len(proxy.faults) == 20 - 1 - 4


def test_throttling_and_lost_connections_are_tried_again(behind: S3Storage, proxy: FaultyProxy) -> None:
    proxy.faults = [Fault(b"PUT", SLOW_DOWN), Fault(b"PUT"), Fault(b"PUT", answer("500 Error", "InternalError"))]
    put(behind, b"data")
    proxy.faults = [Fault(b"GET", SLOW_DOWN), Fault(b"GET", answer("502 Bad Gateway", "")), Fault(b"GET")]
    assert get(behind) == b"data"
    assert proxy.faults == []


def test_a_server_that_stays_busy_is_given_up_with_its_reason(behind: S3Storage, proxy: FaultyProxy) -> None:
    put(behind, b"data")
    proxy.faults = [Fault(b"GET", SLOW_DOWN) for _ in range(4)]
    with pytest.raises(StorageError, match=r"GetObject of s3://faults/object failed at .*SlowDown"):
        get(behind)


def test_large_objects_are_read_by_several_ranges(storage: S3Storage, small_pieces: None) -> None:
    data = os.urandom(300_000)
    put(storage, data)
    assert get(storage) == data
    for start, end in ((0, 0), (0, 1), (65535, 65537), (1, 200_000), (299_999, None), (300_000, None), (400_000, None)):
        with storage.open(URI, start, end) as stream:
            assert stream.read() == data[start:end]
    with storage.open(URI) as stream:
        assert stream.read(10) == data[:10]
        assert stream.read(100_000) == data[10:100_010]


def test_seaweedfs_is_asked_once_for_a_whole_object(
    storage: S3Storage, behind: S3Storage, proxy: FaultyProxy, small_pieces: None
) -> None:
    data = os.urandom(3 * MIB)
    put(storage, data)
    assert get(behind) == data
    assert [head.split()[0] for head in proxy.requests] == ["GET"]
    proxy.requests.clear()
    proxy.faults = [Fault(b"GET", bytes_before_reset=MIB)]
    assert get(behind) == data
    assert [head.split()[0] for head in proxy.requests] == ["GET", "GET"]
    with behind.open(URI) as stream:
        assert stream.read(10) == data[:10]


def test_what_is_written_to_seaweedfs_is_not_said_to_be_text(behind: S3Storage, proxy: FaultyProxy) -> None:
    with behind.create(URI) as stream:
        stream.write(b"text")
    assert "content-type: application/octet-stream" in proxy.requests[-1].lower()


def test_large_objects_are_written_in_parts(storage: S3Storage, small_pieces: None, tmp_path: Path) -> None:
    data = os.urandom(12 * MIB)
    put(storage, data)
    assert storage.head(URI).etag.endswith('-3"')
    assert get(storage) == data
    (tmp_path / "file").write_bytes(data)
    storage.upload(tmp_path / "file", URI + "2")
    storage.download(URI + "2", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == data


def uploads(storage: S3Storage) -> list[str]:
    found = client_of(storage.setting).client.list_multipart_uploads(Bucket="faults")
    return [entry["Key"] for entry in found.get("Uploads", [])]


def test_an_upload_that_fails_leaves_nothing(
    storage: S3Storage, behind: S3Storage, proxy: FaultyProxy, small_pieces: None
) -> None:
    put(storage, b"old")
    with pytest.raises(ZeroDivisionError), storage.create(URI) as stream:
        stream.write(bytes(11 * MIB))
        assert uploads(storage) == ["object"]
        raise ZeroDivisionError
    proxy.faults = [Fault(b"PUT", answer("403 Forbidden", "AccessDenied"))]
    with pytest.raises(NoPermission, match="does not allow UploadPart of s3://faults/object: AccessDenied"):
        put(behind, bytes(11 * MIB))
    assert uploads(storage) == []
    assert get(storage) == b"old"


def test_what_is_too_large_for_one_copy_is_copied_in_parts(
    behind: S3Storage, proxy: FaultyProxy, small_pieces: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(12 * MIB)
    put(behind, data)
    monkeypatch.setattr(s3_storage, "COPY_LIMIT", MIB)
    proxy.faults = [Fault(b"PUT", answer("400 Bad Request", "InvalidRequest"))]
    proxy.requests.clear()
    behind.copy(URI, URI + "2")
    assert get(behind, URI + "2") == data
    assert sum("x-amz-copy-source-range" in head.lower() for head in proxy.requests) == 3


def test_a_copy_of_one_place_does_not_come_here(behind: S3Storage, proxy: FaultyProxy) -> None:
    put(behind, b"data")
    proxy.requests.clear()
    copy_between(behind, URI, replace(behind, names={"elsewhere": "faults"}), "s3://elsewhere/copy")
    assert [head.split()[0] for head in proxy.requests] == ["PUT"]
    assert get(behind, "s3://faults/copy") == b"data"


def test_more_objects_than_a_page_are_listed_in_order(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ["a", "a%", "a/1", "a/2", "a/3/x", "a/3/y", "a0", "b/1"]
    for key in keys:
        put(storage, b"", f"s3://faults/{key}")
    monkeypatch.setattr(s3_storage, "_PAGE", 3)
    assert [entry.uri for entry in storage.list("s3://faults/")] == [f"s3://faults/{key}" for key in keys]
    assert [entry.uri for entry in storage.list("s3://faults/a/")] == [f"s3://faults/{key}" for key in keys[2:6]]


def test_wrong_keys_are_named_without_their_secret(storage: S3Storage) -> None:
    put(storage, b"data")
    wrong = S3Storage(replace(storage.setting, secret_access_key="not-the-secret", max_attempts=1, makes_buckets=False))
    for attempt in (
        lambda: get(wrong),
        lambda: put(wrong, b""),
        lambda: list(wrong.list(URI)),
        lambda: wrong.head(URI),
    ):
        with pytest.raises(NoPermission, match=r"does not allow .*s3://faults/object") as caught:
            attempt()
        assert "not-the-secret" not in str(caught.value)
        assert "not-the-secret" not in repr(wrong)
    unknown = S3Storage(replace(wrong.setting, access_key_id="AKIAUNKNOWN"))
    with pytest.raises(NoPermission, match="GetObject of s3://faults/object: InvalidAccessKeyId"):
        get(unknown)


def test_an_endpoint_without_a_server_is_named() -> None:
    nobody = S3Storage(S3Setting("http://127.0.0.1:1", "us-east-1", "AKIA1", "secret", max_attempts=1))
    with pytest.raises(StorageError, match=r"had no answer from http://127.0.0.1:1.*Check endpoint in \[storage\]"):
        nobody.exists(URI)


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_without_keys_it_says_where_to_give_them(bare_environment: None) -> None:
    keyless = S3Storage(S3Setting("http://127.0.0.1:1", "us-east-1", connect_timeout=1.5))
    with pytest.raises(NoPermission, match=r"no keys for http://127.0.0.1:1.*access_key_id .* in \[storage\]"):
        keyless.exists(URI)


def test_keys_come_from_the_environment_and_from_profiles(
    bare_environment: None, storage: S3Storage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(storage, b"data")
    setting = storage.setting
    keyless = replace(setting, access_key_id=None, secret_access_key=None, connect_timeout=2.5)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        f"[etl]\naws_access_key_id = {setting.access_key_id}\naws_secret_access_key = {setting.secret_access_key}\n"
    )
    assert get(S3Storage(replace(keyless, profile="etl"))) == b"data"
    with pytest.raises(StorageError, match=r"cannot be used.*nobody"):
        get(S3Storage(replace(keyless, profile="nobody")))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", str(setting.access_key_id))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", str(setting.secret_access_key))
    assert get(S3Storage(keyless)) == b"data"


def test_the_keys_of_a_penstock_service_are_not_sent_to_s3(
    bare_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKPS0242ECC9CF7D6987")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with pytest.raises(StorageError, match="are those of a Penstock service"):
        S3Storage(S3Setting("http://127.0.0.1:1", connect_timeout=3.5)).exists(URI)


def test_what_is_written_asks_for_encryption_as_the_settings_say(
    behind: S3Storage, proxy: FaultyProxy, small_pieces: None
) -> None:
    asking = S3Storage(replace(behind.setting, server_side_encryption="AES256"))
    for storage, asked in ((behind.encrypted(), 0), (asking, 0), (asking.encrypted(), 3)):
        proxy.requests.clear()
        put(storage, b"data")
        put(storage, bytes(6 * MIB))
        storage.copy(URI, URI + "2")
        heads = [head.lower() for head in proxy.requests]
        assert sum("x-amz-server-side-encryption: aes256" in head for head in heads) == asked
    assert asking.encrypted() == asking


def test_aws_is_asked_for_encryption_without_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, way in (
        (S3Setting(access_key_id="AKIA1", secret_access_key="x"), {"ServerSideEncryption": "AES256"}),
        (S3Setting(access_key_id="AKIA1", secret_access_key="x", server_side_encryption="none"), {}),
    ):
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
        assert S3Storage(setting).encrypted()._options() == way
        assert S3Storage(setting)._options() == {}


def test_a_bucket_that_is_missing_is_made_only_where_that_is_ours() -> None:
    from object_servers import running_moto

    with running_moto() as setting:
        own, other = S3Storage(setting), S3Storage(replace(setting, makes_buckets=False))
        with pytest.raises(
            NoSuchBucket, match=r"There is no bucket faults at http.*Create it there, or map it with \[b"
        ):
            put(other, b"")
        put(own, b"data")
        with pytest.raises(NoSuchBucket, match="no bucket elsewhere"):
            other.copy(URI, "s3://elsewhere/object")
        with pytest.raises(NoSuchKey, match="There is no object s3://faults/gone"):
            other.copy("s3://faults/gone", "s3://elsewhere/object")
        own.copy(URI, "s3://elsewhere/object")
        assert get(other, "s3://elsewhere/object") == b"data"


def test_seaweedfs_is_not_given_keys_that_it_would_change(storage: S3Storage) -> None:
    put(storage, b"right", "s3://faults/a/b")
    for key in ("a//b", "/a/b", "a/./b", "a\\b", "a/b/"):
        with pytest.raises(StorageError, match=r"SeaweedFS at http://.* would (store|lose)"):
            put(storage, b"wrong", f"s3://faults/{key}")
    put(storage, b"", "s3://faults/folder/")
    assert [entry.uri for entry in storage.list("s3://faults/")] == ["s3://faults/a/b", "s3://faults/folder/"]
    assert get(storage, "s3://faults/a/b") == b"right"
