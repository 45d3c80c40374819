"""Clients of S3 endpoints by botocore, and what their errors mean.

One client serves all threads of a process. botocore retries what has no answer yet (no connection, time-outs, 5xx,
throttling) with growing pauses, `max_attempts` times in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from penstock.data.storage import NoPermission, NoSuchBucket, NoSuchKey, ObjectChanged, StorageError, parse_uri
from penstock.storage_settings import S3Setting

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_OWN_KEYS = "AKPS"  # what the access keys of a Penstock service begin with
_REFUSED = {
    "AccessDenied",
    "AllAccessDisabled",
    "AccountProblem",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "Forbidden",
    "Unauthorized",
    "401",
    "403",
}


class S3Client:
    """A client of an endpoint, and what is known of its server."""

    def __init__(self, setting: S3Setting) -> None:
        self.client = _make(setting)
        self.endpoint: str = self.client.meta.endpoint_url
        host = urlsplit(self.endpoint).hostname or ""
        self.is_aws = host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        self.server = ""
        self._makes_buckets = setting.makes_buckets
        self._buckets: set[str] = set()
        self.client.meta.events.register("after-call.s3", self._note)
        for action in ("PutObject", "UploadPart"):
            self.client.meta.events.register(f"before-call.s3.{action}", self._as_bytes)

    def _as_bytes(self, params: dict[str, Any], **_: Any) -> None:
        """Say that it is no text, which SeaweedFS compresses: to read it again would take it three times as long."""
        if self.server.startswith("SeaweedFS"):
            params["headers"].setdefault("Content-Type", "application/octet-stream")

    def _note(self, http_response: Any, **_: Any) -> None:
        if not self.server and http_response is not None:
            self.server = str(http_response.headers.get("Server", "?"))

    def is_seaweedfs(self, bucket: str) -> bool:
        """Whether the server is SeaweedFS, which keeps objects as files in folders; asks if nothing was asked yet."""
        if not self.server:
            with self.errors(f"s3://{bucket}/", "HeadBucket", is_missing_fine=True):
                self.client.head_bucket(Bucket=bucket)
        return self.server.startswith("SeaweedFS")

    def make_bucket(self, bucket: str) -> None:
        """Make the bucket that is about to be written to, if it is missing and the endpoint is one where we do that."""
        if not self._makes_buckets or bucket in self._buckets:
            return
        uri = f"s3://{bucket}/"
        try:
            with self.errors(uri, "HeadBucket"):
                self.client.head_bucket(Bucket=bucket)
        except NoSuchKey:
            with self.errors(uri, "CreateBucket"), suppress(self.client.exceptions.BucketAlreadyExists):
                self.client.create_bucket(Bucket=bucket)
        self._buckets.add(bucket)

    @contextmanager
    def errors(self, uri: str, action: str, *, is_missing_fine: bool = False) -> Iterator[None]:
        """Raise what goes wrong as `StorageError`; `is_missing_fine` passes over what is not there."""
        from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError  # type: ignore[import-untyped]

        try:
            yield
        except ClientError as error:
            told = self._told(error, uri, action)
            if not (is_missing_fine and isinstance(told, NoSuchKey)):
                raise told from None
        except (BotoCoreError, HTTPClientError) as error:
            raise self._unheard(error, uri, action) from None

    def _told(self, error: Any, uri: str, action: str) -> StorageError:
        told = error.response.get("Error", {})
        code, message = str(told.get("Code", "")), str(told.get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code == "NoSuchBucket":
            return self.no_bucket(uri)
        if status == 404 or code in ("NoSuchKey", "NotFound", "404", "NoSuchUpload"):
            return NoSuchKey(uri)
        if code in ("PreconditionFailed", "412"):
            return ObjectChanged(uri)
        if status in (401, 403) or code in _REFUSED:
            reason = code if code and not code.isdigit() else "access denied"
            return NoPermission(
                f"{self.endpoint} does not allow {action} of {uri}: {reason}.",
                uri=uri,
                remedy="Check the keys of [storage] or of the environment, and what they may do.",
            )
        text = f"{action} of {uri} failed at {self.endpoint}: {code} {message}".strip().rstrip(".")
        return StorageError(f"{text} ({status}).", uri=uri)

    def no_bucket(self, uri: str) -> NoSuchBucket:
        """The error of a URI whose bucket is missing."""
        bucket, _ = parse_uri(uri)
        return NoSuchBucket(
            uri,
            f"There is no bucket {bucket} at {self.endpoint}, so there is no object {uri}.",
            f'Create it there, or map it with [buckets."{bucket}"] in the settings.',
        )

    def _unheard(self, error: Exception, uri: str, action: str) -> StorageError:
        from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, NoCredentialsError, SSLError

        if isinstance(error, NoCredentialsError):
            return NoPermission(
                f"There are no keys for {self.endpoint}, so {uri} cannot be reached.",
                uri=uri,
                remedy="Give access_key_id and secret_access_key, or profile, in [storage] of the settings, or"
                " AWS_ACCESS_KEY_ID in the environment; anonymous = true is for public buckets.",
            )
        if isinstance(error, SSLError):
            remedy = "If its authority is your own, name its file with ca_bundle in [storage] of the settings."
        elif isinstance(error, EndpointConnectionError | ConnectTimeoutError):
            remedy = "Check endpoint in [storage] of the settings, and that the server runs."
        else:
            remedy = ""
        text = " ".join(str(error).split()).rstrip(".")
        return StorageError(f"{action} of {uri} had no answer from {self.endpoint}: {text}.", uri=uri, remedy=remedy)


@cache
def client_of(setting: S3Setting) -> S3Client:
    """The one client of this process for an endpoint."""
    return S3Client(setting)


def _make(setting: S3Setting) -> Any:
    import botocore.session  # type: ignore[import-untyped]
    from botocore import UNSIGNED
    from botocore.config import Config  # type: ignore[import-untyped]
    from botocore.exceptions import BotoCoreError

    is_own = setting.endpoint is not None
    host = urlsplit(setting.endpoint or "").hostname
    options: dict[str, Any] = {
        "retries": {"mode": "standard", "total_max_attempts": setting.max_attempts},
        "connect_timeout": setting.connect_timeout,
        "read_timeout": setting.read_timeout,
        "max_pool_connections": 32,
        "tcp_keepalive": True,
    }
    if is_own:  # what AWS itself takes is unknown to some others
        options["request_checksum_calculation"] = options["response_checksum_validation"] = "when_required"
    if setting.addressing or is_own:
        options["s3"] = {"addressing_style": setting.addressing or "path"}
    if host in LOOPBACK:
        options["proxies"] = {}
    if setting.anonymous:
        options["signature_version"] = UNSIGNED
    try:
        session = botocore.session.Session(profile=setting.profile)
        if setting.access_key_id is None and not setting.anonymous:
            _refuse_own_keys(session)
        region = setting.region or session.get_config_variable("region") or "us-east-1"
        return session.create_client(
            "s3",
            region_name=region,
            endpoint_url=setting.endpoint,
            aws_access_key_id=setting.access_key_id,
            aws_secret_access_key=setting.secret_access_key,
            aws_session_token=setting.session_token,
            verify=setting.ca_bundle,
            config=Config(**options),
        )
    except (BotoCoreError, ValueError) as error:
        raise StorageError(f"The storage's settings cannot be used: {error}", uri="s3://") from None


def _refuse_own_keys(session: Any) -> None:
    """The environment that leads to a Penstock service must not be taken for keys of S3."""
    found = session.get_credentials()
    if found is not None and str(found.access_key).startswith(_OWN_KEYS):
        raise StorageError(
            "The keys for S3 that the environment gives are those of a Penstock service.",
            uri="s3://",
            remedy="Give access_key_id and secret_access_key, or profile, in [storage] of the settings.",
        )
