"""What every storage does: the same tests over each of them."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from object_servers import emptied, in_memory, running_moto, takes

from penstock.data.cloud_storage import CloudStorage
from penstock.data.local_folder import LocalFolder
from penstock.data.s3_storage import S3Storage
from penstock.data.storage import NoSuchBucket, NoSuchKey, Storage, StorageError, parse_uri
from penstock.storage_settings import S3Setting

pytestmark = pytest.mark.by_hand

ODD_KEYS = [
    "plain.csv",
    "a/b//c",
    "part#1",
    "what?x=1&y=2",
    "dir/",
    "dir/inside",
    "a",
    "a/b",
    "a/b/c",
    "a%",
    "a%/b",
    "a%2F",
    "%",
    "%%",
    "%_",
    "%2E",
    "%2E.",
    "%25",
    "%0A",
    "100%.csv",
    "x%~",
    "x%~/y",
    ".",
    "..",
    "../../outside",
    "./here",
    "up/../down",
    "/",
    "//",
    "/leading",
    "trailing//",
    "new\nline\ttab\x00nul\x7fdel",
    "back\\slash:colon*star",
    "naïve/日本語/🙂",
    " spaces ",
    "+plus",
    "~tilde",
    "L" * 255,
    "L" * 300,
    "L" * 300 + "/below",
    "L" * 251 + "..",
    "%" * 300,
    "日" * 330,
    "\x01" * 1024,
    "/" * 1024,
    "../" * 341,
    "date=2013-01-01/part-0",
    "date=2013-01-02/part-0",
    "data",
]


@pytest.fixture(scope="module")
def moto() -> Iterator[S3Setting]:
    with running_moto() as setting:
        yield setting


@pytest.fixture(params=["local folder", "SeaweedFS", "moto", "obstore"])
def new_storage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Storage]:
    if request.param == "local folder":
        numbers = iter(range(10**9))
        return lambda: LocalFolder(tmp_path / f"storage-{next(numbers)}")
    if request.param == "obstore":
        return in_memory(monkeypatch)
    server = S3Storage(request.getfixturevalue("seaweedfs_server" if request.param == "SeaweedFS" else "moto"))
    return lambda: emptied(server)


@pytest.fixture
def storage(new_storage: Callable[[], Storage]) -> Storage:
    return new_storage()


def put(storage: Storage, uri: str, data: bytes = b"x") -> None:
    with storage.create(uri) as stream:
        stream.write(data)


def get(storage: Storage, uri: str) -> bytes:
    with storage.open(uri) as stream:
        return stream.read()


def assert_refused(storage: Storage, key: str) -> None:
    with pytest.raises(StorageError):
        put(storage, f"s3://bucket/{key}")
    assert keys(storage) == []


def keys(storage: Storage, prefix: str = "s3://bucket/") -> list[str]:
    return [parse_uri(entry.uri)[1] for entry in storage.list(prefix)]


def test_an_object_reads_back_as_it_was_written(storage: Storage) -> None:
    put(storage, "s3://bucket/a.csv", b"1,2\n")
    assert get(storage, "s3://bucket/a.csv") == b"1,2\n"
    assert storage.exists("s3://bucket/a.csv")


@pytest.mark.parametrize("key", ODD_KEYS)
def test_any_key_is_a_key(storage: Storage, key: str) -> None:
    if not takes(storage, key):
        assert_refused(storage, key)
        return
    put(storage, f"s3://bucket/{key}", key.encode())
    assert get(storage, f"s3://bucket/{key}") == key.encode()
    assert keys(storage) == [key]
    storage.delete(f"s3://bucket/{key}")
    assert not storage.exists(f"s3://bucket/{key}")
    assert keys(storage) == []


@pytest.mark.parametrize("turn", [1, -1])
def test_odd_keys_lie_side_by_side_in_the_order_of_their_bytes(storage: Storage, turn: int) -> None:
    possible = [key for key in ODD_KEYS[::turn] if takes(storage, key)]
    for key in possible:
        put(storage, f"s3://bucket/{key}", key.encode())
    assert keys(storage) == sorted(possible, key=str.encode)
    for key in possible:
        assert get(storage, f"s3://bucket/{key}") == key.encode()
    for key in possible:
        storage.delete(f"s3://bucket/{key}")
    assert keys(storage) == []


segments = st.one_of(
    st.sampled_from(["", ".", "..", "a", "b", "a%", "%", "%_", "%~", "%2E", "%25", "+", "L" * 252, "L" * 253]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    st.integers(250, 300).map("L".__mul__),
    st.integers(80, 90).map("日".__mul__),
)
some_keys = st.lists(segments, min_size=1, max_size=4).map("/".join).filter(lambda key: 0 < len(key.encode()) <= 1024)


def test_a_storage_is_a_mapping_of_keys(new_storage: Callable[[], Storage]) -> None:
    is_server = isinstance(new_storage(), S3Storage)

    @settings(max_examples=20 if is_server else 120, deadline=None)
    @given(changes=st.lists(st.tuples(st.booleans(), some_keys), max_size=12), prefix=st.text("aL%./", max_size=3))
    def check(changes: list[tuple[bool, str]], prefix: str) -> None:
        storage = new_storage()
        possible = [(deletes, key) for deletes, key in changes if takes(storage, key)]
        _check_mapping(storage, possible, prefix)

    check()


def _check_mapping(storage: Storage, changes: list[tuple[bool, str]], prefix: str) -> None:
    expected: dict[str, bytes] = {}
    for number, (deletes, key) in enumerate(changes):
        if deletes and expected:
            key = sorted(expected)[number % len(expected)]
            storage.delete(f"s3://bucket/{key}")
            del expected[key]
        else:
            expected[key] = str(number).encode()
            put(storage, f"s3://bucket/{key}", expected[key])
    assert keys(storage) == sorted(expected, key=str.encode)
    for key, data in expected.items():
        assert get(storage, f"s3://bucket/{key}") == data
    wanted = [key for key in sorted(expected, key=str.encode) if key.startswith(prefix)]
    assert keys(storage, f"s3://bucket/{prefix}") == wanted


def test_a_prefix_is_a_string_prefix(storage: Storage) -> None:
    for key in ("da", "data", "date=1/x", "date=2/y", "db", "d/a"):
        put(storage, f"s3://bucket/{key}")
    assert keys(storage, "s3://bucket/da") == ["da", "data", "date=1/x", "date=2/y"]
    assert keys(storage, "s3://bucket/date=") == ["date=1/x", "date=2/y"]
    assert keys(storage, "s3://bucket/date=1/") == ["date=1/x"]
    assert keys(storage, "s3://bucket") == ["d/a", "da", "data", "date=1/x", "date=2/y", "db"]
    assert keys(storage, "s3://bucket/none/such") == []


def test_only_exactly_this_key_exists(storage: Storage) -> None:
    put(storage, "s3://bucket/folder/file")
    for other in ("folder", "folder/", "folder/fil", "folder/file/", "folder/file/x", "Folder/file "):
        assert not takes(storage, other) or not storage.exists(f"s3://bucket/{other}")


def test_an_entry_tells_uri_size_and_time(storage: Storage) -> None:
    put(storage, "s3a://bucket/a", b"12345")
    (entry,) = storage.list("s3n://bucket/")
    assert (entry.uri, entry.size) == ("s3://bucket/a", 5)
    assert entry.modified.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - entry.modified) < timedelta(hours=1)


def test_listing_a_missing_bucket_is_empty(storage: Storage) -> None:
    assert keys(storage, "s3://nowhere/") == []
    assert not storage.exists("s3://nowhere/key")


def test_a_missing_object_is_named(storage: Storage) -> None:
    put(storage, "s3://bucket/there")
    with pytest.raises(NoSuchKey, match="There is no object s3://bucket/gone") as caught:
        storage.open("s3://bucket/gone")
    assert caught.value.uri == "s3://bucket/gone"
    if not isinstance(storage, CloudStorage):  # which has one bucket
        with pytest.raises(NoSuchBucket, match="There is no bucket nowhere"):
            storage.open("s3://nowhere/gone")
    with pytest.raises(NoSuchKey):
        storage.copy("s3://bucket/gone", "s3://bucket/copy")
    assert not storage.exists("s3://bucket/copy")


def test_deleting_what_is_not_there_is_fine(storage: Storage) -> None:
    storage.delete("s3://nowhere/key")
    put(storage, "s3://bucket/a")
    storage.delete("s3://bucket/a/b")
    assert keys(storage) == ["a"]


def test_an_object_is_not_there_before_its_block_ends(storage: Storage) -> None:
    with storage.create("s3://bucket/a") as stream:
        stream.write(b"half")
        assert not storage.exists("s3://bucket/a")
        assert keys(storage) == []
    assert get(storage, "s3://bucket/a") == b"half"


def test_a_failed_write_leaves_the_old_object(storage: Storage) -> None:
    put(storage, "s3://bucket/a", b"old")
    with pytest.raises(ZeroDivisionError), storage.create("s3://bucket/a") as stream:
        stream.write(b"new")
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), storage.create("s3://bucket/b") as stream:
        raise ZeroDivisionError
    assert get(storage, "s3://bucket/a") == b"old"
    assert keys(storage) == ["a"]


def test_a_reader_keeps_what_it_opened(storage: Storage) -> None:
    put(storage, "s3://bucket/a", b"old")
    with storage.open("s3://bucket/a") as stream:
        put(storage, "s3://bucket/a", b"new")
        storage.delete("s3://bucket/a")
        assert stream.read() == b"old"


def test_an_object_can_be_copied(storage: Storage) -> None:
    put(storage, "s3://one/a", b"data")
    storage.copy("s3://one/a", "s3://two/b/c")
    storage.copy("s3://one/a", "s3://one/a")
    assert get(storage, "s3://two/b/c") == get(storage, "s3://one/a") == b"data"


def test_objects_go_to_and_from_local_files(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"data")
    storage.upload(tmp_path / "in", "s3://bucket/a")
    storage.download("s3://bucket/a", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"data"
    with pytest.raises(NoSuchKey):
        storage.download("s3://bucket/gone", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"data"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["in", "out"]


def test_a_file_that_need_not_stay_becomes_an_object(storage: Storage, tmp_path: Path) -> None:
    put(storage, "s3://bucket/a", b"old")
    for uri in ("s3://bucket/a", "s3://bucket/b/c"):
        (tmp_path / "in").write_bytes(b"data")
        storage.upload(tmp_path / "in", uri, move=True)
        assert get(storage, uri) == b"data"
    assert {entry.uri for entry in storage.list("s3://bucket/")} == {"s3://bucket/a", "s3://bucket/b/c"}
    with pytest.raises(StorageError, match="names a bucket and no object"):
        storage.upload(tmp_path / "in", "s3://bucket", move=True)


def test_an_object_needs_a_key(storage: Storage) -> None:
    for uri in ("s3://bucket", "s3://bucket/"):
        with pytest.raises(StorageError, match="names a bucket and no object"):
            storage.exists(uri)
        with pytest.raises(StorageError, match="names a bucket and no object"), storage.create(uri):
            pass


def _write_many(storage: Storage, name: str) -> None:
    for number in range(60):
        put(storage, f"s3://bucket/shared/{number}", name.encode())
        put(storage, f"s3://bucket/shared/{number}/{name}", name.encode())
        put(storage, f"s3://bucket/gone/{number}")
        storage.delete(f"s3://bucket/gone/{number}")


def test_two_processes_may_write_at_once_to_the_local_folder(tmp_path: Path) -> None:
    storage = LocalFolder(tmp_path / "s3")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(storage, name)) for name in ("one", "two")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    expected = [
        key for number in range(60) for key in (f"shared/{number}", f"shared/{number}/one", f"shared/{number}/two")
    ]
    assert keys(storage) == sorted(expected)
    assert {get(storage, f"s3://bucket/shared/{number}") for number in range(60)} <= {b"one", b"two"}
