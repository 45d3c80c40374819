"""Where `s3://` lies, as `penstock.toml` says it: an S3 endpoint, one that is embedded, and buckets elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any
from urllib.parse import urlsplit

ENCRYPTIONS = ("AES256", "aws:kms", "none")
ADDRESSINGS = ("path", "virtual")
FOLDER, SEAWEEDFS = "folder", "seaweedfs"
_BUCKET_URL = re.compile(r"s3://[^/\s]+/?|gs://[^/\s]+/?|az://[^/\s]+/[^/\s]+/?")
_S3_ONLY = ("access_key_id", "secret_access_key", "session_token", "profile", "region", "addressing", "anonymous")


class WrongSetting(ValueError):
    """A setting has a wrong value; the text begins with its name and says the remedy. It has no secrets."""


@dataclass(frozen=True)
class S3Setting:
    """An S3 endpoint, and how to talk to it; times in seconds.

    Without an endpoint it is AWS, or what AWS_ENDPOINT_URL_S3 says. Keys and region that are not given are those that
    botocore finds: the environment, a profile, the shared files, the machine's role.
    """

    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    profile: str | None = None
    anonymous: bool = False
    addressing: str | None = None
    ca_bundle: str | None = None
    server_side_encryption: str | None = None
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    max_attempts: int = 8
    makes_buckets: bool = False
    """Whether a bucket is made when it is first written to; only the embedded server's are."""


@dataclass(frozen=True)
class BucketSetting:
    """Where one bucket is instead (`[buckets."NAME"]`): on S3 (`s3`), Google Cloud Storage or Azure.

    `kind` is the URL's scheme: s3, gs or az. `account` is Azure's. `endpoint` of gs and az is a server that speaks
    their API in place of the real one.
    """

    kind: str
    name: str
    account: str | None = None
    s3: S3Setting | None = None
    endpoint: str | None = None
    service_account_file: str | None = None
    account_key: str | None = field(default=None, repr=False)
    sas_token: str | None = field(default=None, repr=False)
    connect_timeout: float = S3Setting.connect_timeout
    read_timeout: float = S3Setting.read_timeout
    max_attempts: int = S3Setting.max_attempts


@dataclass(frozen=True)
class StorageSettings:
    """Where all buckets are that have no setting of their own: `embedded` (a folder, or SeaweedFS), else on `s3`."""

    embedded: str | None = FOLDER
    s3: S3Setting = S3Setting()
    buckets: Mapping[str, BucketSetting] = field(default_factory=dict)


_S3_KEYS = {entry.name for entry in fields(S3Setting)} - {"makes_buckets"}
STORAGE_KEYS = {"embedded", *_S3_KEYS}
BUCKET_KEYS = {"url", "service_account_file", "account_key", "sas_token", *_S3_KEYS}


def read_storage(table: Mapping[str, Any] | None, buckets: Mapping[str, Mapping[str, Any]]) -> StorageSettings:
    """The settings of the table [storage] (None without one) and of [buckets."NAME"]. Raises WrongSetting."""
    embedded: str | None = FOLDER if table is None else None
    given = dict(table or {})
    if "embedded" in given:
        embedded = _choice("storage.embedded", given.pop("embedded"), (FOLDER, SEAWEEDFS))
        if given:
            raise WrongSetting(
                f"storage.{min(given)} says something of another S3 endpoint, and storage.embedded that it is ours;"
                " leave one of them out."
            )
    s3 = _s3("storage", given, S3Setting())
    return StorageSettings(embedded, s3, {name: _bucket(name, entry, s3) for name, entry in buckets.items()})


def _bucket(bucket: str, table: Mapping[str, Any], default: S3Setting) -> BucketSetting:
    name = f'buckets."{bucket}"'
    given = dict(table)
    url = _value(f"{name}.url", given.pop("url", None), "str")
    if not _BUCKET_URL.fullmatch(url):
        raise WrongSetting(f"{name}.url is '{url}'; write s3://BUCKET, gs://BUCKET or az://ACCOUNT/CONTAINER.")
    parts = urlsplit(url)
    if parts.scheme == "s3":
        _refuse(name, given, ("service_account_file", "account_key", "sas_token"), "s3://")
        return BucketSetting("s3", parts.netloc, s3=_s3(name, given, _inherited(default, set(given))))
    _refuse(name, given, (*_S3_ONLY, "ca_bundle", "server_side_encryption"), f"{parts.scheme}://")
    is_gs = parts.scheme == "gs"
    _refuse(name, given, ("account_key", "sas_token") if is_gs else ("service_account_file",), f"{parts.scheme}://")
    values = {key: _value(f"{name}.{key}", value, _TYPES[key]) for key, value in given.items()}
    _check_endpoint(name, values.get("endpoint"))
    if is_gs:
        return BucketSetting("gs", parts.netloc, **values)
    return BucketSetting("az", parts.path.strip("/"), parts.netloc, **values)


_TYPES = {entry.name: str(entry.type) for cls in (S3Setting, BucketSetting) for entry in fields(cls)}


def _inherited(default: S3Setting, given: set[str]) -> S3Setting:
    """What a bucket has of [storage]: an endpoint of its own gets times only, and keys of its own replace the keys."""
    if "endpoint" in given:
        return S3Setting(
            connect_timeout=default.connect_timeout,
            read_timeout=default.read_timeout,
            max_attempts=default.max_attempts,
        )
    if given & {"access_key_id", "secret_access_key", "profile", "anonymous"}:
        return replace(
            default, access_key_id=None, secret_access_key=None, session_token=None, profile=None, anonymous=False
        )
    return default


def _s3(name: str, table: Mapping[str, Any], inherited: S3Setting) -> S3Setting:
    made = replace(inherited, **{key: _value(f"{name}.{key}", value, _TYPES[key]) for key, value in table.items()})
    _check_endpoint(name, made.endpoint)
    if (made.access_key_id is None) != (made.secret_access_key is None):
        raise WrongSetting(f"{name} needs both access_key_id and secret_access_key, or neither.")
    ways = [way for way in ("access_key_id", "profile", "anonymous") if getattr(made, way)]
    if len(ways) > 1:
        raise WrongSetting(f"{name} has both {ways[0]} and {ways[1]}; leave one of them out.")
    if made.session_token is not None and made.access_key_id is None:
        raise WrongSetting(f"{name}.session_token needs access_key_id and secret_access_key beside it.")
    if made.addressing is not None:
        _choice(f"{name}.addressing", made.addressing, ADDRESSINGS)
    if made.server_side_encryption is not None:
        _choice(f"{name}.server_side_encryption", made.server_side_encryption, ENCRYPTIONS)
    if made.max_attempts < 1:
        raise WrongSetting(f"{name}.max_attempts is {made.max_attempts}; it must be at least 1.")
    return made


def _check_endpoint(name: str, endpoint: str | None) -> None:
    if endpoint is None:
        return
    try:
        parts = urlsplit(endpoint)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or parts.username is not None or parts.query or parts.fragment:  # without the value: it may be secret
        raise WrongSetting(f"{name}.endpoint is no URL of a server; write https://HOST or http://HOST:PORT.")


def _value(name: str, value: Any, kind: str) -> Any:
    """The value, if it is of its field's type; the text has no value, as it may be secret."""
    if kind.startswith("bool"):
        if not isinstance(value, bool):
            raise WrongSetting(f"{name} must be true or false.")
    elif kind.startswith(("float", "int")):
        is_number = isinstance(value, int if kind.startswith("int") else int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value < 1e6:
            raise WrongSetting(f"{name} must be a {'whole ' * kind.startswith('int')}number above 0.")
    elif not isinstance(value, str) or not value:
        raise WrongSetting(f"{name} must be a text.")
    return value


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise WrongSetting(f"{name} is '{value}'; it must be one of {', '.join(choices)}.")
    return str(value)


def _refuse(name: str, table: Mapping[str, Any], keys: tuple[str, ...], kind: str) -> None:
    for key in keys:
        if key in table:
            raise WrongSetting(f"{name}.{key} means nothing for {kind}; leave it out.")
