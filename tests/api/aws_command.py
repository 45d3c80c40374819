"""The `aws` command's own code, run in this process: half a second of starting Python each time is saved."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stderr, redirect_stdout
from typing import Any
from unittest import mock

from api_service import Api

with mock.patch.dict(os.environ):  # which awscli changes when it is imported
    from awscli.clidriver import create_clidriver

    AWSCLI_DATA = os.environ["AWS_DATA_PATH"]


class AwsFailed(Exception):
    """The command ended with a status other than 0; the text is what it wrote to stderr."""


class Aws:
    """`aws datapipeline …` with the environment that `penstock server` prints."""

    def __init__(self, api: Api) -> None:
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            "AWS_DATA_PATH": AWSCLI_DATA,
            "AWS_SHARED_CREDENTIALS_FILE": str(api.service.options.data_dir / "credentials"),
            "AWS_ENDPOINT_URL_DATA_PIPELINE": api.endpoint,
            "AWS_CONFIG_FILE": str(api.service.options.data_dir / "no config"),
        }
        with mock.patch.dict(os.environ, self._environment, clear=True):
            self._driver = create_clidriver()

    def text(self, *arguments: str) -> str:
        """What the command prints."""
        out, errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
        with mock.patch.dict(os.environ, self._environment, clear=True), redirect_stdout(out), redirect_stderr(errors):
            status = self._driver.main(["datapipeline", *arguments])
        if status:
            raise AwsFailed(errors.getvalue())
        out.seek(0)
        return out.read()

    def json(self, *arguments: str) -> Any:
        """What the command prints, read as JSON; None where it prints nothing."""
        printed = self.text(*arguments, "--output", "json")
        return json.loads(printed) if printed.strip() else None
