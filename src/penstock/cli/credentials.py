"""The access key that a command signs with, and clients for both service models."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

from penstock.wire.client import Client
from penstock.wire.model import ServiceModel, load_botocore_model, load_penstock_model
from penstock.wire.sigv4 import Credentials
from penstock.wire.tls import CA_BUNDLE

FILE = "credentials"


class NoCredentials(Exception):
    """No access key was found; the text says where it was looked for."""


def find_credentials(data_dir: Path | None) -> Credentials:
    """From the environment, else the file that AWS_SHARED_CREDENTIALS_FILE names, else the data directory's.

    AWS_SESSION_TOKEN is not sent: a server's keys have no sessions, so it could only belong to another key.
    """
    access_key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if access_key and secret:
        return Credentials(access_key, secret)
    shared = os.environ.get("AWS_SHARED_CREDENTIALS_FILE")
    paths = [Path(shared)] if shared else []
    paths += [data_dir / FILE] if data_dir is not None else []
    for path in paths:
        found = read_credentials(path)
        if found is not None:
            return found
    looked = ", ".join(str(path) for path in paths) or "nowhere else"
    raise NoCredentials(
        f"There is no access key: AWS_ACCESS_KEY_ID is not set, and there is none in {looked}."
        " A first `penstock server` makes one in its data directory."
    )


def read_credentials(path: Path) -> Credentials | None:
    """The key of the profile `default` of a credentials file; None without one. Raises NoCredentials."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"), str(path))
        found = [parser.get("default", name, fallback="") for name in ("aws_access_key_id", "aws_secret_access_key")]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoCredentials(f"The credentials file {path} cannot be read: {error.strerror}.") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise NoCredentials(f"{path} is no credentials file: {reason} Correct it, or move it away.") from error
    if any(found) and not all(found):  # not none: another key, which may do more, would be taken in its place
        missing = "aws_secret_access_key" if found[0] else "aws_access_key_id"
        raise NoCredentials(f"The profile default of {path} lacks {missing}. Correct it, or move it away.")
    return Credentials(*found) if all(found) else None


def credentials_text(access_key: str, secret: str) -> str:
    """A credentials file with one key, which is all that boto3 and aws-cli need: they do nothing without a region."""
    return f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret}\nregion = us-east-1\n"


def data_pipeline_client(endpoint: str, credentials: Credentials, certificate: bytes | None = None) -> Client:
    """A client of the 19 operations; with a certificate (DER) it trusts the server that has that one, and no other."""
    return _client(endpoint, credentials, load_botocore_model("datapipeline"), certificate)


def penstock_client(endpoint: str, credentials: Credentials, certificate: bytes | None = None) -> Client:
    """A client of our own operations, for the server that has the certificate, if one is given."""
    return _client(endpoint, credentials, load_penstock_model(), certificate)


def _client(endpoint: str, credentials: Credentials, model: ServiceModel, certificate: bytes | None = None) -> Client:
    return Client(endpoint, credentials, model, ca_bundle=os.environ.get(CA_BUNDLE), certificate=certificate)
