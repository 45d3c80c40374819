"""Which function answers which operation, of both service models."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import ModuleType

from penstock.api import (
    activation,
    alarms,
    backfill,
    definitions,
    ends,
    keys,
    logs,
    objects,
    pipelines,
    progress,
    runners,
    tasks,
)
from penstock.api import versions as definition_versions
from penstock.api.call import Answer, Call, Request
from penstock.wire.model import ServiceModel, concealing, load_botocore_model, load_penstock_model

MODULES: tuple[ModuleType, ...] = (
    *(pipelines, definitions, activation, objects, tasks, ends),
    *(progress, keys, logs, runners, alarms, backfill, definition_versions),
)
MAY_BE_SECRET = ("fieldStringValue", "attributeValueString", "longString")  # shapes whose values no error shows
_WORD = re.compile(r"(?<!^)(?=[A-Z])")

Function = Callable[[Call, Request], Answer | None]


def operations() -> Mapping[str, tuple[ServiceModel, Mapping[str, Function]]]:
    """Both service models by target prefix, each operation with the function of its name in one of the modules."""
    found: dict[str, tuple[ServiceModel, Mapping[str, Function]]] = {}
    for model in (concealing(load_botocore_model("datapipeline"), MAY_BE_SECRET), load_penstock_model()):
        functions: dict[str, Function] = {}
        for operation in model.operations:
            name = _WORD.sub("_", operation).lower()
            functions[operation] = next(getattr(module, name) for module in MODULES if hasattr(module, name))
        found[model.target_prefix] = (model, functions)
    return found
