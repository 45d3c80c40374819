"""A running service as the commands see it: clients of both service models, its pipelines, and its errors told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.cli.credentials import NoCredentials, data_pipeline_client, find_credentials, penstock_client
from penstock.cli.follow import flat
from penstock.cli.output import fail
from penstock.cli.runner import choose_endpoint
from penstock.definition.problems import closest
from penstock.settings import choose_data_dir
from penstock.wire.client import Client, ConnectionFailed
from penstock.wire.errors import ServiceError

UNKNOWN = ("PipelineNotFoundException", "PipelineDeletedException")
EMPTY = "Pipeline definition is empty"  # how the service has always said it
NO_DEFINITION = (
    "The pipeline has no definition yet; give it one with `aws datapipeline put-pipeline-definition"
    " --pipeline-id df-… --pipeline-definition file://pipeline.json`."
)


@dataclass(frozen=True)
class Service:
    """A running service: clients of the 19 operations and of our own, and the data directory of this machine."""

    client: Client
    own: Client
    data_dir: Path


@dataclass(frozen=True)
class Named:
    """A pipeline by its id and its name."""

    pipeline_id: str
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.pipeline_id})"


@contextmanager
def connected(endpoint: str | None, data_dir: Path | None) -> Iterator[Service]:
    """The service that the environment, or `--endpoint`, names; what it refuses ends the command with its text."""
    folder = choose_data_dir(data_dir)
    try:
        url, credentials = choose_endpoint(endpoint), find_credentials(folder)
        service = Service(data_pipeline_client(url, credentials), penstock_client(url, credentials), folder)
    except NoCredentials as error:
        fail(str(error))
    except ValueError as error:  # the endpoint is not a URL
        fail(f"{error}.")
    try:
        yield service
    except ConnectionFailed as error:
        fail(str(error))
    except ServiceError as error:
        fail(NO_DEFINITION if error.message.startswith(EMPTY) else error.message or str(error))
    finally:
        service.client.close()
        service.own.close()


def all_pipelines(service: Service) -> list[Named]:
    """Every pipeline that the key may see, in the service's order."""
    found: list[Named] = []
    marker: dict[str, Any] = {}
    while True:
        page = service.client.call("ListPipelines", **marker)
        found.extend(Named(entry["id"], entry["name"]) for entry in page["pipelineIdList"])
        if not page.get("hasMoreResults"):
            return found
        marker = {"marker": page["marker"]}


def find_pipeline(service: Service, wanted: str) -> Named:
    """The pipeline of an id, or of a name that no other pipeline has; ends the command where there is none."""
    if wanted.startswith("df-"):
        try:
            answer = service.client.call("DescribePipelines", pipelineIds=[wanted])
            return Named(wanted, answer["pipelineDescriptionList"][0]["name"])
        except ServiceError as error:
            if error.code not in UNKNOWN:
                raise
    everything = all_pipelines(service)
    found = [pipeline for pipeline in everything if pipeline.name == wanted]
    if len(found) > 1:
        ids = ", ".join(pipeline.pipeline_id for pipeline in found)
        fail(f"{len(found)} pipelines have the name '{wanted}'; give an id: {ids}.")
    if not found:
        guess = closest(wanted, (pipeline.name for pipeline in everything))
        fail(f"There is no pipeline '{wanted}'. {guess + ' ' if guess else ''}`penstock pipelines` lists them.")
    return found[0]


def check_instances(identities: tuple[str, ...], pipeline: Named) -> None:
    """End the command where an id cannot be one of an instance."""
    for identity in identities:
        if not identity.startswith("@"):
            fail(
                f"'{identity}' is no id of an instance, which begin with '@':"
                f" `penstock runs {pipeline.pipeline_id}` lists them."
            )


def described(service: Service, pipeline: Named, identity: str, *, evaluate: bool = False) -> dict[str, str]:
    """The fields of one object."""
    answer = service.client.call(
        "DescribeObjects", pipelineId=pipeline.pipeline_id, objectIds=[identity], evaluateExpressions=evaluate
    )
    return flat(answer["pipelineObjects"][0])


def pipeline_fields(service: Service, pipeline_ids: list[str]) -> list[dict[str, str]]:
    """The fields of pipelines, 25 a call; one that was deleted meanwhile is left out."""
    found: list[dict[str, str]] = []
    for start in range(0, len(pipeline_ids), 25):
        found.extend(_pipeline_fields(service, pipeline_ids[start : start + 25]))
    return found


def _pipeline_fields(service: Service, ids: list[str]) -> list[dict[str, str]]:
    try:
        answer = service.client.call("DescribePipelines", pipelineIds=ids)
    except ServiceError as error:
        if error.code not in UNKNOWN:
            raise
        return [fields for one in ids for fields in _pipeline_fields(service, [one])] if len(ids) > 1 else []
    return [flat({"id": entry["pipelineId"], **entry}) for entry in answer["pipelineDescriptionList"]]
