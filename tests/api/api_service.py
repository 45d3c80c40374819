"""A real service on loopback, with the clients that people use: boto3 and our own."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from penstock.cli.composition import ServiceOptions
from penstock.cli.credentials import penstock_client
from penstock.service import EmbeddedService
from penstock.service_keys import add_key
from penstock.wire.client import Client
from penstock.wire.sigv4 import Credentials, sign

LONG_POLL = 1.0
ON_DEMAND = {"id": "Default", "scheduleType": "ondemand", "failureAndRerunMode": "cascade", "maximumRetries": "0"}
_numbers = itertools.count(1)


@dataclass
class Api:
    """A running service and what tests do with it again and again."""

    service: EmbeddedService

    def __post_init__(self) -> None:
        self.endpoint = self.service.endpoint
        self.credentials = self.service.credentials
        self.boto = self.client(self.credentials)
        self.own: Client = penstock_client(self.endpoint, self.credentials)

    def client(self, credentials: Credentials, **config: Any) -> Any:
        """A boto3 client that checks nothing itself and tries once."""
        return boto3.client(
            "datapipeline",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=credentials.access_key,
            aws_secret_access_key=credentials.secret_key,
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}, **config),
        )

    def key(self, role: str = "runner", **limits: str) -> Credentials:
        """A new access key."""
        made = self.own.call("CreateKey", role=role, name=f"a {role}", **limits)
        return Credentials(made["accessKeyId"], made["secretAccessKey"])

    def system_key(self) -> Credentials:
        """A key like that of the service's own runner, which no operation makes."""
        return add_key(self.service.engine, "system", "a test")

    def create(self, name: str = "a pipeline", **more: Any) -> str:
        """A new pipeline without a definition."""
        found: str = self.boto.create_pipeline(name=name, uniqueId=f"unique-{next(_numbers)}", **more)["pipelineId"]
        return found

    def put(self, pipeline_id: str, *objects: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Put objects, given in the file form."""
        answer: dict[str, Any] = self.boto.put_pipeline_definition(
            pipelineId=pipeline_id, pipelineObjects=[api_object(obj) for obj in objects], **more
        )
        return answer

    def pipeline(self, *objects: dict[str, Any], **more: Any) -> str:
        """A new pipeline with a definition without errors."""
        pipeline_id = self.create()
        answer = self.put(pipeline_id, *objects, **more)
        assert not answer["errored"], answer["validationErrors"]
        return pipeline_id

    def activated(self, *objects: dict[str, Any], **more: Any) -> str:
        """A new pipeline that runs."""
        pipeline_id = self.pipeline(*objects, **more)
        self.boto.activate_pipeline(pipelineId=pipeline_id)
        return pipeline_id

    def ids(self, pipeline_id: str, sphere: str = "INSTANCE", *selectors: tuple[str, str, list[str]]) -> list[str]:
        """The ids that a query finds; a selector is a field, an operator and values."""
        query = [{"fieldName": field, "operator": {"type": kind, "values": v}} for field, kind, v in selectors]
        found: list[str] = self.boto.query_objects(
            pipelineId=pipeline_id, sphere=sphere, **({"query": {"selectors": query}} if query else {})
        )["ids"]
        return found

    def fields(self, pipeline_id: str, object_id: str, **more: Any) -> dict[str, Any]:
        """The fields of an object: a text, or `ref:ID`, or a list of them where there are several."""
        answer = self.boto.describe_objects(pipelineId=pipeline_id, objectIds=[object_id], **more)
        return plain(answer["pipelineObjects"][0]["fields"])

    def pipeline_fields(self, pipeline_id: str) -> dict[str, Any]:
        """The fields of a pipeline."""
        answer = self.boto.describe_pipelines(pipelineIds=[pipeline_id])
        return plain(answer["pipelineDescriptionList"][0]["fields"])

    def instance(self, pipeline_id: str, component: str) -> str:
        """The id of the one instance of a component."""
        (found,) = self.ids(pipeline_id, "INSTANCE", ("@componentParent", "REF_EQ", [component]))
        return found

    def status(self, pipeline_id: str, component: str) -> str:
        """The status of the one instance of a component."""
        status: str = self.fields(pipeline_id, self.instance(pipeline_id, component))["@status"]
        return status

    def poll(self, group: str, client: Any = None) -> dict[str, Any]:
        """A task that must be there."""
        task: dict[str, Any] = (client or self.boto).poll_for_task(workerGroup=group, hostname="here")["taskObject"]
        return task

    def raw(self, target: str, body: bytes, **change: Any) -> tuple[int, dict[str, str], bytes]:
        """A signed request with any body: the status, the headers in lower case and the body of the answer."""
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        service = "penstock" if target.startswith("Penstock.") else "datapipeline"
        now = change.pop("now", datetime.now(UTC))
        credentials = change.pop("credentials", self.credentials)
        signed = sign(
            "POST", self.endpoint + "/", headers, body, credentials, region="us-east-1", service=service, now=now
        )
        return self.send("POST", "/", body, signed)

    def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """A request as it is."""
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=20)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def until_waiting(self, group: str, count: int = 1) -> None:
        """Returns when so many polls wait for the group."""
        until(lambda: len(self.service.application.waiters._waiting.get(group, ())) == count)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Returns when the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


def api_object(obj: dict[str, Any]) -> dict[str, Any]:
    """An object of the file form in the API form."""
    fields = []
    for key, value in obj.items():
        for entry in value if isinstance(value, list) else [value]:
            if key not in ("id", "name"):
                fields.append({"key": key, **({"refValue": entry["ref"]} if isinstance(entry, dict) else {})})
                if not isinstance(entry, dict):
                    fields[-1]["stringValue"] = entry
    return {"id": obj["id"], "name": obj.get("name", obj["id"]), "fields": fields}


def plain(fields: list[dict[str, str]]) -> dict[str, Any]:
    """Fields of the API form as a mapping."""
    found: dict[str, Any] = {}
    for field in fields:
        value = f"ref:{field['refValue']}" if "refValue" in field else field["stringValue"]
        if field["key"] in found:
            before = found[field["key"]]
            found[field["key"]] = [*(before if isinstance(before, list) else [before]), value]
        else:
            found[field["key"]] = value
    return found


def shell(identity: str, group: str, **fields: Any) -> dict[str, Any]:
    """A shell activity for a worker group."""
    return {"id": identity, "type": "ShellCommandActivity", "command": "true", "workerGroup": group, **fields}


def running(data_dir: Path, *settings: str, store: str | None = None) -> Iterator[Api]:
    """A service without runners, with settings of the engine."""
    config = data_dir.parent / f"{data_dir.name}.toml"
    config.write_text("\n".join(("[engine]", "retry_delay = 0", *settings)), encoding="utf-8")
    service = EmbeddedService(ServiceOptions(data_dir, config=config, store=store, has_runner=False))
    api = Api(service)
    try:
        yield api
    finally:
        api.own.close()
        service.stop()


def code_of(answer: tuple[int, dict[str, str], bytes]) -> str:
    """The code of a raw error answer."""
    return str(json.loads(answer[2])["__type"])
