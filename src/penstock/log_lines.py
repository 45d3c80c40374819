"""The lines of a process's log: for people, or a JSON object each, with the pipeline and instance where they are known.

Code gives those with `extra=about(pipeline_id, instance_id)`. No line has a secret: what logs a text that may hold one
masks it before.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

LEVELS = ("debug", "info", "warning", "error")
_FIELDS = ("pipelineId", "instance")


def about(pipeline_id: str | None = None, instance: str | None = None) -> dict[str, str]:
    """The `extra` of a log call: what the line is about; an attempt's id says its instance as well."""
    found = {"pipelineId": pipeline_id, "instance": instance.rpartition("_Attempt=")[0] or instance if instance else ""}
    return {name: value for name, value in found.items() if value}


def set_up(form: str, level: str) -> None:
    """Have this process write its log to standard error, as `text` or `json`; other packages tell warnings only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine() if form == "json" else TextLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))
    logging.getLogger("penstock").setLevel(level.upper())


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class TextLine(logging.Formatter):
    """`2026-11-20T10:00:00.000Z WARNING penstock.engine.engine: text [df-… @A_…]`."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without its trace."""
        subject = " ".join(getattr(record, name) for name in _FIELDS if hasattr(record, name))
        line = f"{_moment(record)} {record.levelname} {record.name}: {record.message}"
        return f"{line} [{subject}]" if subject else line


class JsonLine(logging.Formatter):
    """An object with `time`, `level`, `logger`, `message`, and where known `pipelineId`, `instance` and `trace`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        found = {
            "time": _moment(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        found |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            found["trace"] = self.formatException(record.exc_info)
        return json.dumps(found, ensure_ascii=False)
