"""How the URI of an object is read."""

from __future__ import annotations

import pytest

from penstock.data.storage import StorageError, parse_uri


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        ("s3://bucket/key", "bucket", "key"),
        ("s3n://bucket/a/b", "bucket", "a/b"),
        ("S3A://My_Bucket.eu-1/a#b?c%20d", "My_Bucket.eu-1", "a#b?c%20d"),
        ("s3://bucket", "bucket", ""),
        ("s3://bucket/", "bucket", ""),
        ("s3://bucket//a//b/", "bucket", "/a//b/"),
        ("s3://bucket/line\nfeed", "bucket", "line\nfeed"),
    ],
)
def test_a_uri_names_a_bucket_and_a_key(uri: str, bucket: str, key: str) -> None:
    assert parse_uri(uri) == (bucket, key)


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("", "not the URI of an S3 object.*s3://bucket/key"),
        ("bucket/key", "not the URI of an S3 object"),
        ("gs://bucket/key", "gs://bucket/key.*buckets..bucket.. in the settings maps it elsewhere"),
        ("file:///etc/passwd", "is not the URI of an S3 object"),
        ("s3:///key", "names no bucket"),
        ("s3://", "names no bucket"),
        ("s3://../key", "'..' in 's3://../key' is not a bucket name"),
        ("s3://.writing/key", "not a bucket name"),
        ("s3://buck et/key", "not a bucket name"),
        ("s3://bucket/" + "é" * 513, "1026 bytes; 1024 is the limit"),
        ("s3://bucket/\ud800", "not valid Unicode"),
    ],
)
def test_anything_else_is_refused_with_a_reason(uri: str, problem: str) -> None:
    with pytest.raises(StorageError, match=problem) as caught:
        parse_uri(uri)
    assert caught.value.uri == uri
