"""The file form of a definition, as aws-cli reads it: `{"objects": […], "parameters": […], "values": {…}}`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from penstock.definition.model import Definition, FieldValue, ParameterObject, PipelineObject, Ref
from penstock.definition.problems import DefinitionRefused, Problem, closest, shown

LARGEST_FILE = 20 * 1024 * 1024  # the longest text that the service model allows in one member
PARTS = ("objects", "parameters", "values", "metadata")
_LONE_SURROGATE = re.compile(
    r"(?<!\\)(?:\\\\)*(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2})"
)


def read_definition_file(path: Path) -> Definition:
    """Read a definition file; raises `DefinitionRefused` with a reason that names the line and column."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
            if len(data) > LARGEST_FILE:
                size = f"{path.stat().st_size:,}" if path.is_file() else f"more than {LARGEST_FILE:,}"
                raise _refused(f"{path} is {size} bytes long.", f"A definition may be {LARGEST_FILE:,} bytes at most.")
    except OSError as error:
        raise _refused(f"{path} cannot be read: {error.strerror}.", "Give the path of a definition file.") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _refused(
            f"{path} is not UTF-8: byte 0x{data[error.start]:02x} in line {line}.", "Save the file as UTF-8."
        ) from error
    return parse_definition(text, str(path))


def parse_definition(text: str, source: str = "definition") -> Definition:
    """Parse the file form; raises `DefinitionRefused`."""
    return definition_of(parse_json(text, source), source)


def parse_json(text: str, source: str) -> Any:
    """Parse JSON; raises `DefinitionRefused` with the line, the column and the usual cause."""
    if not text.strip():
        raise _refused(f"{source} is empty.", 'A definition is a JSON object with a list "objects".')
    if "\\u" in text and (lone := _LONE_SURROGATE.search(text)):
        place = _place(source, text, lone.end() - 6)
        raise _refused(f"{place}: {lone[0][-6:]} is half a character.", "Write the character itself, or both halves.")
    try:
        return json.loads(
            text,
            object_pairs_hook=lambda pairs: _unique(pairs, source),
            parse_constant=lambda constant: _no_constant(constant, source),
        )
    except json.JSONDecodeError as error:
        what, remedy = _explain(text, error)
        raise _refused(f"{_place(source, text, error.pos)}: {what}", remedy) from error
    except ValueError as error:
        raise _refused(f"{source} holds a number with too many digits.", "Write it as a string.") from error
    except RecursionError as error:
        raise _refused(f"{source} is nested too deeply.", "A definition needs five levels at most.") from error


def _place(source: str, text: str, position: int) -> str:
    line = text.count("\n", 0, position) + 1
    return f"{source}, line {line}, column {position - text.rfind(chr(10), 0, position)}"


def _no_constant(constant: str, source: str) -> None:
    raise _refused(f"{source} holds {constant}, which JSON does not have.", "Write it as a string.")


def _unique(pairs: list[tuple[str, Any]], source: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            where = f" of object {shown(str(found['id']))}" if "id" in found else ""
            raise _refused(
                f"{source}: the key {shown(key)}{where} is given twice in one JSON object.",
                "Give a list of values once.",
            )
        found[key] = value
    return found


def _explain(text: str, error: json.JSONDecodeError) -> tuple[str, str]:
    rest = text[error.pos :]
    before = text[: error.pos].rstrip()
    if rest[:1] in ("}", "]") and before.endswith(","):
        return f"a comma before the closing {rest[0]}.", "Remove the comma."
    if before.endswith(",") and rest.lstrip()[:1] in ("}", "]"):
        return f"a comma before the closing {rest.lstrip()[0]}.", "Remove the comma."
    if error.msg.startswith("Illegal trailing comma"):
        return "a comma before the closing bracket.", "Remove the comma."
    if rest.startswith(("//", "/*", "#")) or (error.pos and text[error.pos - 1 : error.pos + 1] in ("//", "/*")):
        return (
            "a comment, which JSON does not have.",
            "Remove it, or keep it in a user-defined field such as myNote.",
        )
    if error.msg.startswith("Expecting ','") and rest.strip():
        if rest[0] in '{["':
            return "a missing comma.", "Put a comma between the two."
        return "neither a comma nor a closing bracket.", 'A quote inside a string is written \\".'
    if error.msg.startswith("Invalid control character"):
        if rest[:1] in ("\n", "\r"):
            return "a line break inside a string.", "Write it as \\n, or close the string before it."
        return "a control character inside a string.", "Write it as \\t or \\uXXXX."
    if rest.startswith(",") and before.endswith((",", "[", "{")):
        return "a comma with nothing before it.", "Remove the comma."
    if rest.startswith("'"):
        return "a string in single quotes.", "JSON strings stand in double quotes."
    if not rest.strip():
        return "the text ends too early.", "Close what is open: a brace, a bracket or a quote is missing."
    if error.msg.startswith("Unterminated string"):
        return "the string that begins here does not end.", "Close it with a double quote."
    if error.msg.startswith("Extra data"):
        return "text after the end of the definition.", "Remove it; a definition is one JSON object."
    return f"{error.msg[0].lower()}{error.msg[1:]}.", ""


def definition_of(document: Any, source: str = "definition") -> Definition:
    """Turn a parsed document into a definition; what is misshapen is left out and listed in `misread`.

    Raises `DefinitionRefused` where the document is no JSON object at all.
    """
    problems: list[Problem] = []
    if not isinstance(document, dict):
        raise _refused(f"{source} holds {_kind(document)}.", 'A definition is a JSON object with a list "objects".')
    for key in document:
        if key not in PARTS:
            remedy = closest(str(key), PARTS) or "A definition has objects, parameters and values."
            problems.append(Problem("", str(key), f"Unknown key {shown(str(key))}.", remedy))
    objects: dict[str, PipelineObject] = {}
    for number, entry in enumerate(_list(document, "objects", problems, required=True), 1):
        read = _object(entry, number, problems)
        if read is None:
            continue
        if read.id in objects:
            problems.append(duplicate_object(read.id))
        objects[read.id] = read
    parameters: dict[str, ParameterObject] = {}
    for number, entry in enumerate(_list(document, "parameters", problems), 1):
        parameter = _parameter(entry, number, problems)
        if parameter is not None:
            if parameter.id in parameters:
                problems.append(duplicate_parameter(parameter.id))
            parameters[parameter.id] = parameter
    values = _values(document.get("values", {}), problems)
    return Definition(objects, parameters, values, tuple(problems))


def values_of(document: Any, source: str) -> dict[str, tuple[str, ...]]:
    """The parameter values of a parsed file: `{"values": {…}}`, or the inner object alone. Raises DefinitionRefused."""
    problems: list[Problem] = []
    values = _values(document.get("values", document) if isinstance(document, dict) else document, problems)
    errors = [problem for problem in problems if not problem.is_warning]
    if errors:
        raise DefinitionRefused([Problem("", "", f"{source}: {problem.text}") for problem in errors])
    return values


def duplicate_object(identity: str) -> Problem:
    """Two objects of one id; the later one is kept."""
    return Problem(identity, "id", f"Two objects have the id {shown(identity)}.", "Rename one of them.")


def duplicate_parameter(identity: str) -> Problem:
    """Two parameters of one id; the later one is kept."""
    return Problem(identity, "id", f"Two parameters have the id {shown(identity)}.", "Remove one.")


def _list(document: dict[str, Any], key: str, problems: list[Problem], *, required: bool = False) -> list[Any]:
    if key not in document:
        if required:
            problems.append(Problem("", key, f'The list "{key}" is missing.', "Put the pipeline's objects there."))
        return []
    value = document[key]
    if isinstance(value, list):
        return value
    problems.append(Problem("", key, f'"{key}" is {_kind(value)}.', "Give a list of JSON objects."))
    return []


def _object(entry: Any, number: int, problems: list[Problem]) -> PipelineObject | None:
    if not isinstance(entry, dict):
        problems.append(Problem("", "objects", f"Object {number} is {_kind(entry)}.", "Give a JSON object."))
        return None
    identity = entry.get("id", entry.get("name"))
    if not isinstance(identity, str) or not identity:
        problems.append(Problem("", "id", f"Object {number} has no id.", 'Give it a string "id".'))
        return None
    name = entry.get("name", identity)
    if not isinstance(name, str):
        problems.append(Problem(identity, "name", f"The name is {_kind(name)}.", "Give a string."))
        name = identity
    fields: dict[str, tuple[FieldValue, ...]] = {}
    for key, value in entry.items():
        if key in ("id", "name"):
            continue
        entries = value if isinstance(value, list) else [value]
        read = tuple(_field_value(identity, key, item, problems) for item in entries)
        if not read:
            problems.append(_empty_list(identity, key, key))
        if found := tuple(item for item in read if item is not None):
            fields[key] = found
    return PipelineObject(identity, name, fields)


def _field_value(identity: str, key: str, value: Any, problems: list[Problem]) -> FieldValue | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, dict) and set(value) == {"ref"} and isinstance(value["ref"], str):
        return Ref(value["ref"])
    problems.append(
        Problem(
            identity,
            key,
            f"A value of '{key}' is {_kind(value)}.",
            'Give a string, {"ref": "ID"}, or a list of them.',
        )
    )
    return None


def _parameter(entry: Any, number: int, problems: list[Problem]) -> ParameterObject | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str) or not entry["id"]:
        problems.append(Problem("", "parameters", f"Parameter {number} has no id.", 'Give it a string "id".'))
        return None
    attributes: dict[str, tuple[str, ...]] = {}
    for key, value in entry.items():
        if key != "id" and (texts := _texts(entry["id"], key, value, problems)):
            attributes[key] = texts
    return ParameterObject(entry["id"], attributes)


def _values(value: Any, problems: list[Problem]) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        problems.append(Problem("", "values", f'"values" is {_kind(value)}.', "Give a JSON object of id and value."))
        return {}
    read = {key: _texts(key, "values", item, problems) for key, item in value.items()}
    return {key: texts for key, texts in read.items() if texts}


def _texts(identity: str, key: str, value: Any, problems: list[Problem]) -> tuple[str, ...]:
    texts: list[str] = []
    if value == []:
        what = identity if key == "values" else key
        problems.append(_empty_list(identity, key, what))
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, bool):
            texts.append("true" if item else "false")
        elif isinstance(item, str | int | float):
            texts.append(str(item))
        else:
            what = f"The value of '{identity}'" if key == "values" else f"A value of '{key}'"
            problems.append(Problem(identity, key, f"{what} is {_kind(item)}.", "Give a string."))
    return tuple(texts)


def _empty_list(identity: str, key: str, what: str) -> Problem:
    """An empty list sets nothing: aws-cli sends an entry for each value, so the service never hears of it."""
    message = f"'{what}' is an empty list, which is the same as leaving it out."
    return Problem(identity, key, message, is_warning=True)


def to_file_form(definition: Definition) -> dict[str, Any]:
    """The document that `definition_of` reads back to the same definition."""
    objects: list[dict[str, Any]] = []
    for obj in definition.objects.values():
        entry: dict[str, Any] = {"id": obj.id, "name": obj.name}
        for key, values in obj.fields.items():
            items = [{"ref": value.id} if isinstance(value, Ref) else value for value in values]
            entry.setdefault(key, items[0] if len(items) == 1 else items)
        objects.append(entry)
    document: dict[str, Any] = {"objects": objects}
    if definition.parameters:
        document["parameters"] = [
            {"id": parameter.id, **{key: _unlist(values) for key, values in parameter.attributes.items()}}
            for parameter in definition.parameters.values()
        ]
    if definition.values:
        document["values"] = {key: _unlist(values) for key, values in definition.values.items()}
    return document


def _unlist(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _kind(value: Any) -> str:
    names = {dict: "a JSON object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _refused(message: str, remedy: str) -> DefinitionRefused:
    return DefinitionRefused([Problem("", "", message, remedy)])
