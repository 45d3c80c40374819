"""The access key that a command signs with, and clients for both service models."""

from __future__ import annotations

import configparser
import os
from importlib.resources import files
from pathlib import Path

from penstock.wire.client import Client
from penstock.wire.model import load_botocore_model, load_model
from penstock.wire.sigv4 import Credentials

FILE = "credentials"


class NoCredentials(Exception):
    """No access key was found; the text says where it was looked for."""


def find_credentials(data_dir: Path | None) -> Credentials:
    """From the environment, else the file that AWS_SHARED_CREDENTIALS_FILE names, else the data directory's."""
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
        if not parser.has_option("default", "aws_secret_access_key"):
            return None
        return Credentials(parser.get("default", "aws_access_key_id"), parser.get("default", "aws_secret_access_key"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoCredentials(f"The credentials file {path} cannot be read: {error.strerror}.") from error
    except (configparser.Error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise NoCredentials(f"{path} is no credentials file: {reason} Correct it, or move it away.") from error


def data_pipeline_client(endpoint: str, credentials: Credentials) -> Client:
    """A client of the 19 operations."""
    return Client(endpoint, credentials, load_botocore_model("datapipeline"))


def penstock_client(endpoint: str, credentials: Credentials) -> Client:
    """A client of our own operations."""
    model = load_model(files("penstock") / "models" / "penstock" / "2026-11-20" / "service-2.json")
    return Client(endpoint, credentials, model)
