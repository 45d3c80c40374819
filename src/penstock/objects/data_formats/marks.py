"""The check of separators and escape characters, which the delimited formats share."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.data import formats
from penstock.definition.model import PipelineObject
from penstock.definition.problems import Problem


def mark_problems(obj: PipelineObject, keys: Sequence[str]) -> list[Problem]:
    """The problem of marks that contradict each other; none while one of them is still an expression.

    A warning, since the real service looks at them only at run time.
    """
    given = {key: text for key in (*keys, "quoting") if (text := obj.text(key)) is not None}
    if any("#{" in text for text in given.values()):
        return []
    quoting = given.get("quoting", "none")
    if quoting.lower() == "rfc4180" and given.get("escapeChar"):
        message = "'escapeChar' does not go with quoting 'rfc4180', where a quote inside a value is doubled."
        return [Problem(obj.id, "escapeChar", message, "Leave one of them out.", given["escapeChar"], is_warning=True)]
    name = obj.text("type") or ""
    try:
        formats.delimited(
            name,
            escape_char=given.get("escapeChar", None if name == "Custom" else "\\"),
            quoting=quoting,
            column_separator=given.get("columnSeparator", "\t" if name == "TSV" else ","),
            record_separator=given.get("recordSeparator", "\n"),
        )
    except formats.FormatError as error:
        key = next((key for key in keys if key in str(error) and key in given), keys[0])
        return [Problem(obj.id, key, str(error), value=given.get(key, ""), is_warning=True)]
    return []
