"""[storage] and [buckets] of penstock.toml: where each bucket is."""

from __future__ import annotations

from pathlib import Path

import pytest
from object_servers import in_memory

from penstock.data.bucket_map import BucketMap, open_storage
from penstock.data.cloud_storage import CloudStorage
from penstock.data.local_folder import LocalFolder
from penstock.data.s3_storage import S3Storage
from penstock.data.storage import Storage, StorageError
from penstock.settings import Settings, SettingsError, load_settings
from penstock.storage_in_use import use_storage_elsewhere
from penstock.storage_settings import S3Setting


def read(folder: Path, text: str) -> Settings:
    (folder / "penstock.toml").write_text(text)
    return load_settings(folder / "penstock.toml")


def test_without_settings_it_is_the_folder_of_the_data_directory(tmp_path: Path) -> None:
    assert open_storage(Settings().storage, tmp_path) == LocalFolder(tmp_path / "s3")
    assert open_storage(read(tmp_path, '[storage]\nembedded = "folder"').storage, tmp_path) == LocalFolder(
        tmp_path / "s3"
    )


def test_an_empty_table_is_aws(tmp_path: Path) -> None:
    assert open_storage(read(tmp_path, "[storage]").storage, tmp_path) == S3Storage(S3Setting())


def test_the_table_names_an_endpoint(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        """
        [storage]
        endpoint = "https://minio.example.com:9000"
        region = "eu-west-1"
        access_key_id = "AKIA1"
        secret_access_key = "hidden-word"
        server_side_encryption = "AES256"
        read_timeout = 30
        max_attempts = 3
        """,
    )
    storage = open_storage(settings.storage, tmp_path)
    assert isinstance(storage, S3Storage)
    assert storage.setting.endpoint == "https://minio.example.com:9000"
    assert (storage.setting.read_timeout, storage.setting.max_attempts) == (30, 3)
    assert "hidden-word" not in repr(settings)


BUCKETS = """
[storage]
endpoint = "http://127.0.0.1:9000"
access_key_id = "AKIA1"
secret_access_key = "hidden-word"
max_attempts = 3

[buckets."renamed"]
url = "s3://real-name"

[buckets."other-keys"]
url = "s3://other-keys"
profile = "etl"

[buckets."on-aws"]
url = "s3://on-aws"
endpoint = "https://s3.eu-west-1.amazonaws.com"

[buckets."google"]
url = "gs://google-bucket"
service_account_file = "key.json"

[buckets."azure"]
url = "az://account/container"
account_key = "hidden-word"
"""


def test_buckets_can_be_elsewhere(tmp_path: Path) -> None:
    storage = open_storage(read(tmp_path, BUCKETS).storage, tmp_path)
    assert isinstance(storage, BucketMap)
    renamed = storage.place("s3://renamed/key")
    assert renamed == storage.place("s3://anything/key") == storage.default
    assert isinstance(renamed, S3Storage)
    assert renamed.names == {"renamed": "real-name"}
    others = storage.place("s3://other-keys/key")
    assert isinstance(others, S3Storage)
    assert (others.setting.endpoint, others.setting.profile) == ("http://127.0.0.1:9000", "etl")
    assert others.setting.access_key_id is None
    for bucket, kind in (("google", "gs"), ("azure", "az")):
        place = storage.place(f"s3://{bucket}/key")
        assert isinstance(place, CloudStorage)
        assert place.setting.kind == kind
    assert storage == open_storage(read(tmp_path, BUCKETS).storage, tmp_path)
    assert storage.encrypted() == storage


def test_keys_of_one_endpoint_go_to_no_other(tmp_path: Path) -> None:
    setting = read(tmp_path, BUCKETS).storage.buckets["on-aws"].s3
    assert setting is not None
    assert (setting.access_key_id, setting.secret_access_key, setting.max_attempts) == (None, None, 3)


def test_objects_are_copied_from_one_storage_to_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = in_memory(monkeypatch)()
    storage: Storage = BucketMap(LocalFolder(tmp_path), {"far": elsewhere})
    with storage.create("s3://near/key") as stream:
        stream.write(b"data")
    storage.copy("s3://near/key", "s3://far/folder/key")
    storage.copy("s3://far/folder/key", "s3://near/again")
    with storage.open("s3://near/again") as stream:
        assert stream.read() == b"data"
    assert [entry.uri for entry in storage.list("s3://far/fol")] == ["s3://far/folder/key"]
    assert not LocalFolder(tmp_path).exists("s3://far/folder/key")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[storage]\nendpoint = "minio"', r"storage\.endpoint is no URL of a server"),
        ('[storage]\nendpoint = "http://user:hidden-word@host"', r"storage\.endpoint is no URL of a server"),
        ('[storage]\nend_point = "http://host"', r"there is no setting 'storage\.end_point'"),
        ('[storage]\nembedded = "minio"', r"storage\.embedded is 'minio'; it must be one of folder, seaweedfs"),
        ('[storage]\nembedded = "folder"\nregion = "x"', r"storage\.region says something of another S3 endpoint"),
        ('[storage]\nsecret_access_key = "hidden-word"', "storage needs both access_key_id and secret_access_key"),
        ("[storage]\nsecret_access_key = 5", r"storage\.secret_access_key must be a text"),
        ('[storage]\nprofile = "x"\nanonymous = true', "storage has both profile and anonymous"),
        ('[storage]\nanonymous = "yes"', r"storage\.anonymous must be true or false"),
        ("[storage]\nmax_attempts = 0", r"storage\.max_attempts must be a whole number above 0"),
        ("[storage]\nread_timeout = true", r"storage\.read_timeout must be a number above 0"),
        ('[storage]\naddressing = "dns"', r"storage\.addressing is 'dns'; it must be one of path, virtual"),
        ('[storage]\nserver_side_encryption = "yes"', "it must be one of AES256, aws:kms, none"),
        ("[storage]\nmakes_buckets = true", r"there is no setting 'storage\.makes_buckets'"),
        ("[buckets.b]", r"'buckets\.\"b\"' lacks 'url'"),
        ('[buckets.b]\nurl = "file:///b"', r"buckets\.\"b\"\.url is 'file:///b'; write s3://BUCKET, gs://BUCKET or az"),
        ('[buckets.b]\nurl = "az://container"', r"write s3://BUCKET, gs://BUCKET or az://ACCOUNT/CONTAINER"),
        ('[buckets.b]\nurl = "gs://b"\nregion = "x"', r"buckets\.\"b\"\.region means nothing for gs://"),
        ('[buckets.b]\nurl = "s3://b"\naccount_key = "x"', r"buckets\.\"b\"\.account_key means nothing for s3://"),
        ("storage = 5", "'storage' must be a table"),
    ],
)
def test_a_wrong_setting_is_named_without_secrets(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as caught:
        read(tmp_path, text)
    assert "hidden-word" not in str(caught.value)


def test_on_another_machine_embedded_storage_is_refused_by_the_name_of_the_setting(tmp_path: Path) -> None:
    for text, is_shared in (("", False), ('[storage]\nembedded = "seaweedfs"', True)):
        in_use = use_storage_elsewhere(read(tmp_path, text).storage, tmp_path, is_shared=is_shared)
        for use in (in_use.storage.exists, in_use.storage.open, in_use.storage.head):
            with pytest.raises(StorageError, match=r"s3://bucket/key: the embedded .* Set \[storage\] endpoint"):
                use("s3://bucket/key")
    shared = use_storage_elsewhere(Settings().storage, tmp_path, is_shared=True)
    assert shared.storage == LocalFolder(tmp_path / "s3")
    real = use_storage_elsewhere(read(tmp_path, BUCKETS).storage, tmp_path, is_shared=False)
    assert isinstance(real.storage, BucketMap)
    assert real.environment["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:9000"
