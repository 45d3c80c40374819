"""`penstock explain`: what a type, a field or an expression function is, read from its declaration."""

from __future__ import annotations

import inspect
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import click

from penstock.cli.output import fail, print_json, table
from penstock.definition.fields import DECIDED_EARLY
from penstock.definition.json_schema import EXTENSION, family_of
from penstock.definition.problems import closest, shown
from penstock.definition.slots import Catalogue, Declared, Slot, slots_of
from penstock.expressions import FUNCTIONS, Function
from penstock.objects import load_catalogue

UNKNOWN = 2
NARROWEST = 40  # columns for a text that is wrapped
USER_FIELDS = (
    "Objects have an id, a name and a type too, and user-defined fields (my and a capital letter, or _, first)."
)
ANY_FIELD = "Its fields are not all published: others are accepted as they are."
HINT = "penstock explain TYPE, TYPE.FIELD or FUNCTION says more."
Document = dict[str, Any]


def explain(name: str | None, as_json: bool) -> None:
    """Print what the name means; without one, all types and functions. The exit status is 2 for a name of nothing."""
    catalogue = load_catalogue()
    document = overview(catalogue) if name is None else explanation(catalogue, name)
    if document is None:
        fail(_unknown(catalogue, name or ""), UNKNOWN)
    if as_json:
        print_json(document)
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    click.echo("\n\n".join(_text(document, width)))


def overview(catalogue: Catalogue) -> Document:
    """Every type by its family, and every function."""
    families: dict[str, list[Document]] = {}
    for cls in sorted(catalogue.types.values(), key=lambda cls: (cls.family, cls.type_name())):
        families.setdefault(cls.family, []).append(
            {
                "type": cls.type_name(),
                "doc": _doc(cls).partition("\n")[0],
                "isBuilt": cls.is_built,
                "isExtension": cls.is_extension,
            }
        )
    functions = [_function(FUNCTIONS[name]) for name in sorted(FUNCTIONS, key=str.lower)]
    return {"families": [{"family": key, "types": types} for key, types in families.items()], "functions": functions}


def explanation(catalogue: Catalogue, name: str) -> Document | None:
    """What a type, a family, `TYPE.FIELD` or a function is; None for a name of nothing."""
    if name in FUNCTIONS:
        return _function(FUNCTIONS[name])
    type_name, dot, field = name.partition(".")
    cls = _classes(catalogue).get(type_name)
    if cls is None:
        return None
    if dot:
        slot = slots_of(cls).get(field)
        return None if slot is None else {"type": type_name, "field": _field(cls, slot)}
    return {
        "type": type_name,
        "family": cls.family,
        "isBuilt": cls.is_built,
        "isExtension": cls.is_extension,
        "takesAnyField": cls.takes_any_field,
        "doc": _doc(cls),
        "types": [key for key in sorted(catalogue.types) if cls.is_abstract and issubclass(catalogue.types[key], cls)],
        "fields": [_field(cls, slot) for slot in _own_first(cls)],
    }


def kind_of(slot: Slot) -> str:
    """The kind of a slot in words: `string`, `cron or timeseries`, `reference to DataNode, several`."""
    kind = slot.kind
    if slot.kind == "enum":
        kind = " or ".join(slot.choices)
    elif slot.kind == "ref":
        kind = "reference to " + " or ".join(_targets(slot))
    elif slot.unit:
        kind = f"{kind} or number of {slot.unit}s"
    return f"{kind}, several" if slot.many else kind


def default_of(slot: Slot) -> str:
    """The default of a slot as a definition would write it; empty for none."""
    if slot.default in (None, []):
        return ""
    return str(slot.default).lower() if isinstance(slot.default, bool) else str(slot.default)


def _targets(slot: Slot) -> list[str]:
    return ["any object" if target is Declared else target.type_name() for target in slot.targets]


def _classes(catalogue: Catalogue) -> dict[str, type[Declared]]:
    """The types, and the families whose fields they share."""
    families = {cls.family: family_of(cls) for cls in catalogue.types.values() if cls.family}
    return {**families, **catalogue.types}  # a type wins over a family of its name, such as Schedule


def _own_first(cls: type[Declared]) -> list[Slot]:
    """The slots of a type: its own in front of those that its whole family shares."""
    slots = slots_of(cls).values()
    return [slot for slot in slots if not _is_shared(cls, slot)] + [slot for slot in slots if _is_shared(cls, slot)]


def _is_shared(cls: type[Declared], slot: Slot) -> bool:
    family = family_of(cls)
    return cls is not family and slots_of(family).get(slot.name) == slot


def _field(cls: type[Declared], slot: Slot) -> Document:
    group = [other.name for other in slots_of(cls).values() if slot.one_of is not None and other.one_of == slot.one_of]
    return {
        "name": slot.name,
        "of": family_of(cls).family if _is_shared(cls, slot) else cls.type_name(),
        "doc": slot.doc,
        "kind": slot.kind,
        "kindInWords": kind_of(slot),
        "several": slot.many,
        "required": slot.required,
        "oneOf": group,
        "atMostOne": slot.at_most_one,
        "default": default_of(slot),
        "choices": list(slot.choices),
        "refersTo": _targets(slot),
        "expressions": _expressions(slot),
        "secret": slot.is_secret,
        "awsOnly": slot.for_aws_only,
        "unlisted": slot.unlisted,
        "isExtension": slot.is_extension,
    }


def _expressions(slot: Slot) -> str:
    """Where `#{…}` may stand in a slot, and what it may read (service_facts, section 3)."""
    if slot.kind == "ref":
        return "parameters"
    return "parameters and fixed fields" if slot.name in DECIDED_EARLY else "any"


def _function(function: Function) -> Document:
    return {
        "function": function.name,
        "signature": function.signature,
        "parameters": [{"name": parameter.name, "type": parameter.type} for parameter in function.parameters],
        "result": function.result,
        "doc": function.doc,
    }


def _doc(cls: type[Declared]) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _unknown(catalogue: Catalogue, name: str) -> str:
    """What to say of a name that means nothing: the closest one, and the types that have a field of the name."""
    classes = _classes(catalogue)
    type_name, dot, field = name.partition(".")
    if dot and type_name in classes:
        remedy = closest(field, slots_of(classes[type_name])) or f"penstock explain {type_name} lists its fields."
        return f"{type_name} has no field {shown(field)}. {remedy}"
    owners = [key for key in sorted(classes) if name in slots_of(classes[key])]
    if owners:
        others = f" (and {len(owners) - 1} more)" if len(owners) > 1 else ""
        return f"{shown(name)} is a field of {owners[0]}{others}: penstock explain {owners[0]}.{name}"
    remedy = closest(type_name, [*classes, *FUNCTIONS]) or "penstock explain lists them all."
    return f"There is no type, family or function {shown(type_name)}. {remedy}"


def _text(document: Document, width: int) -> Iterator[str]:
    """The paragraphs of a document, wrapped to a width; 0 is as wide as they are."""
    if "families" in document:
        yield from _overview_text(document, width)
    elif "function" in document:
        yield document["signature"]
        yield _wrapped(document["doc"], width)
        yield _wrapped(f"As a method: {_method_form(document)}", width)
    elif "field" in document:
        yield from _field_text(document["type"], document["field"], width)
    else:
        yield from _type_text(document, width)


def _overview_text(document: Document, width: int) -> Iterator[str]:
    for family in document["families"]:
        rows = [(f"  {entry['type']}", entry["doc"] + _remarks(entry)) for entry in family["types"]]
        yield f"{family['family'] or 'Other'}\n{_columns(rows, width)}"
    rows = [(f"  {entry['signature']}", entry["doc"].partition("\n")[0]) for entry in document["functions"]]
    yield f"Functions\n{_columns(rows, width)}"
    yield HINT


def _type_text(document: Document, width: int) -> Iterator[str]:
    name, family = document["type"], document["family"]
    yield name if family in ("", name) else f"{name} ({family})"
    yield _wrapped(document["doc"] + _remarks(document), width)
    if document["types"]:
        yield _wrapped(f"Types: {', '.join(document['types'])}.", width)
    own = [field for field in document["fields"] if field["of"] == name]
    shared = [field for field in document["fields"] if field["of"] != name]
    if own:
        yield _fields_table(own, width)
    if shared:
        yield f"As every {family}:\n\n{_fields_table(shared, width)}"
    yield _wrapped(ANY_FIELD if document["takesAnyField"] else USER_FIELDS, width)


def _fields_table(fields: list[Document], width: int) -> str:
    headings = ("field", "kind", "needed", "default", "what it is")
    rows = [(field["name"], field["kindInWords"], _needed(field), field["default"], _doc_of(field)) for field in fields]
    return _columns(rows, width, headings)


def _doc_of(field: Document) -> str:
    return f"{field['doc']} {EXTENSION}" if field["isExtension"] else str(field["doc"])


def _needed(field: Document) -> str:
    if field["required"]:
        return "yes"
    if field["oneOf"]:
        others = [name for name in field["oneOf"] if name != field["name"]]
        return f"or {', '.join(others)}" if others else "yes"
    return "by AWS only" if field["awsOnly"] else ""


def _field_text(type_name: str, field: Document, width: int) -> Iterator[str]:
    yield f"{type_name}.{field['name']}"
    yield _wrapped(field["doc"], width)
    several = ", several" if field["several"] else ""
    lines = [("kind", field["kindInWords"] if field["kind"] == "period" else field["kind"] + several)]
    if field["choices"]:
        lines.append(("choices", f"{', '.join(field['choices'])} (in any letter case)"))
    if field["refersTo"]:
        lines.append(("refers to", f'{" or ".join(field["refersTo"])}, as {{"ref": "ID"}}'))
    group = ", ".join(field["oneOf"])
    limit = "exactly one" if field["atMostOne"] else "at least one"
    needed = f"{limit} of {group}" if len(field["oneOf"]) > 1 else _needed(field) or "no"
    lines += [("needed", needed), ("default", field["default"] or "none")]
    allowed = {
        "any": "yes",
        "parameters": 'parameters only: {"ref": "#{myParameter}"}',
        "parameters and fixed fields": "parameters and fields with fixed values only: it is read before anything runs",
    }
    lines.append(("expressions", allowed[field["expressions"]]))
    if field["unlisted"]:
        lines.append(("note", f"AWS's reference does not list it. {field['unlisted']}"))
    if field["isExtension"]:
        lines.append(("note", EXTENSION.strip("()")))
    if field["secret"]:
        lines.append(("secret", "kept encrypted, never shown again"))
    if field["of"] != type_name:
        lines.append(("declared by", f"every {field['of']}"))
    yield _columns([(f"  {label}", text) for label, text in lines], width)


def _method_form(document: Document) -> str:
    first, *others = [parameter["name"] for parameter in document["parameters"]]
    return f"#{{{first}.{document['function']}({', '.join(others)})}}"


def _remarks(document: Document) -> str:
    remark = f" {EXTENSION}" if document["isExtension"] else ""
    return remark if document["isBuilt"] else f"{remark} (It validates, but cannot run here yet.)"


def _wrapped(text: str, width: int) -> str:
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return "\n\n".join(textwrap.fill(paragraph, width) if width else paragraph for paragraph in paragraphs)


def _columns(rows: Sequence[tuple[str, ...]], width: int, headings: tuple[str, ...] = ()) -> str:
    """Rows as columns; the last one is wrapped where there is a width."""
    taken = sum(max(len(row[number]) for row in [headings or rows[0], *rows]) + 2 for number in range(len(rows[0]) - 1))
    made: list[tuple[str, ...]] = []
    for *cells, last in rows:
        lines = textwrap.wrap(last, max(width - taken, NARROWEST)) if width else [last]
        for number, line in enumerate(lines or [""]):
            made.append((*(cells if number == 0 else [""] * len(cells)), line))
    if headings:
        return table(headings, made)
    widths = [max(len(row[number]) for row in made) for number in range(len(made[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in made)
