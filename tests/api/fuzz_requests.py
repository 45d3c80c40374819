"""Requests made from the shapes of the service models: nearly valid, then spoiled in a few places.

A body is a tree of JSON values in which `Raw` is written as it stands, `Pairs` is an object that may have a key twice,
and `Name` stands for something that exists when the body is sent, such as a pipeline in a certain state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from definition_breaks import MEANING, SYNTAX, broken
from definition_maker import Maker
from hypothesis import strategies as st

from penstock.definition.api_form import definition_to_api
from penstock.definition.file_form import definition_of
from penstock.wire.model import ServiceModel, Shape

DEFINITIONS = 150
LISTS = ("pipelineObjects", "parameterObjects", "parameterValues")


@dataclass(frozen=True)
class Raw:
    """A piece of JSON, or of what is none."""

    text: str

    def __repr__(self) -> str:
        return f"Raw({self.text[:40]!r}, {len(self.text)})"


@dataclass(frozen=True)
class Pairs:
    """An object by its members, which may come twice."""

    members: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Name:
    """Something that exists when the body is sent."""

    of: str


def written(value: Any, names: Mapping[str, Any]) -> str:
    """The tree as JSON, or nearly."""
    match value:
        case Raw(text):
            return text
        case Name(of):
            return json.dumps(names[of])
        case Pairs(members):
            return "{" + ",".join(f"{json.dumps(key)}:{written(item, names)}" for key, item in members) + "}"
        case dict():
            return written(Pairs(tuple(value.items())), names)
        case list():
            return "[" + ",".join(written(item, names) for item in value) + "]"
    return json.dumps(value)


WORDS = [
    "", "x", "A", "Default", "*password", "*****", "@status", "@A_2026-01-01T00:00:00", "latest", "active", "1", "-1",
    "9" * 30, "CASCADE", "\x01", "\0", "e\u0301", "\u00e9", "\u202eabc", "\U0001f600", "\ufeff", "\u2028", "'; --",
    "%s",
    "../../etc/passwd", "{}", "\\", '"', "resource:", "penstock:system", "resource:df-1_@R_x", "x" * 257, "x" * 1025,
    "é" * 6000, "1 hour", "0 days", "2026-11-20T00:00:00", "x" * 10_241,
]  # fmt: skip
EXPRESSIONS = [
    *SYNTAX, *MEANING, "#{@scheduledStartTime}", "#{node.name}", "#{input.filePath}", "#{parent.parent.parent.@id}",
    "#{*myToken}", "#{my_list + my_list + my_list}", "#{format(@scheduledStartTime, 'YYYY" + "Y" * 900 + "')}",
    "#{9223372036854775807 * 9}", "#{2 ^ 1024}", "#{0 ^ -1}", "#{-9223372036854775807 - 2}", "#{1/0}", "#{.5e-300^9}",
    "#{plusYears('9999-12-31', 1)}", "#{minusDays('0001-01-01', 1)}", "#{plusDays('2020-01-01', 9223372036854775807)}",
    "#{inTimeZone('0001-01-01', 'Asia/Tokyo')}", "#{inTimeZone('9999-12-31T23:59:59', 'America/New_York').midnight()}",
    "#{inTimeZone('2020-01-01', '../../etc/passwd')}", "#{makeDate(-1, 99999999999, 0)}", "#{" + "(" * 250 + "}",
    "#{" + "1+(" * 190 + "1" + ")" * 190 + "}", "#{" + "-" * 190 + "1}", "#{" + "a." * 190 + "a}", "#{1}" * 2000,
    "#{roundDown('2020-01-01', '0 days')}", "#{'\\ud800'}", "#{'\\u0000'}", "#{dependsOn.dependsOn.name}",
    "#{name.name}",
]  # fmt: skip
NUMBERS = [0, -1, 1, 100, 101, 2**31 - 1, 2**31, 2**63 - 1, -(2**63), 2**63, 1.5, 1.0, 1e308, -0.0]
JUNK: list[Any] = [
    None, True, False, 0, -1, 1.5, "", "x", [], {}, [[]], [None], {"": {}}, {"ref": "A"}, "x" * 10_241, "x" * 1025,
    *map(Raw, ("1e400", "-1e400", "1" * 5000, "-0.0", "NaN", "Infinity", "-Infinity", '"\\ud800"', '"\\udc00\\ud800"')),
    *map(Raw, ('"\\ud83d\\ude00"', '"\\u0000"', '"e\\u0301"', '"\\u202e"', "0x1", "01", "+1", "'x'", "nul", '"\\x"')),
    *map(Raw, ("[" * 150 + "]" * 150, '{"a":' * 150 + "1" + "}" * 150, "[" * 50_000, '{"a":1,"a":2}', "1,2", "")),
    *map(Raw, ("[" + "1," * 20_000 + "1]", '"' + "y" * 200_000 + '"', '["' + '","'.join("ab" * 5000) + '"]', "\t1 ")),
]  # fmt: skip
TIMES: list[Any] = [
    0, 1.5, -1, 1e18, 253402300799, 253402300800, -62135596800, -62135596801, "2026-11-20T00:00:00Z", "yesterday",
    "2026-11-20T00:00:00.999999999+23:59", "0001-01-01T00:00:00+14:00", "Fri, 20 Nov 2026 00:00:00 GMT", ",", "1,",
    "Mon, 99 Xxx 99999999999999999999 99:99:99 +9999", "9999-12-31T23:59:59-23:59", "1e400", Raw("1e400"),
]  # fmt: skip
UNKNOWN = ["more", "__type", "", "pipelineid", "PipelineId", "\0", "\U0001f600", "x" * 300]


@lru_cache(DEFINITIONS)
def definition(seed: int) -> dict[str, Any]:
    """A definition in the API form; every second one is broken."""
    document = broken(Random(seed))[1] if seed % 2 else Maker(Random(seed)).document()
    try:
        return definition_to_api(definition_of(document))
    except Exception:
        return definition_to_api(definition_of(Maker(Random(seed)).document()))


def near(model: ServiceModel, shape: Shape, known: Mapping[str, list[Any]], member: str = "") -> st.SearchStrategy[Any]:
    """Values of a shape that are right in form; texts are names that exist, where the member's name says which."""
    match shape.type:
        case "structure":
            members = {key: near(model, model.shapes[ref.shape], known, key) for key, ref in shape.members.items()}
            required = {key: members[key] for key in shape.required}
            made = st.fixed_dictionaries(required, optional={k: v for k, v in members.items() if k not in required})
            lists = [key for key in LISTS if key in members]
            return st.tuples(made, st.integers(0, DEFINITIONS - 1)).map(lambda pair: _with_definition(*pair, lists))
        case "list":
            assert shape.member is not None
            return st.lists(near(model, model.shapes[shape.member.shape], known, member), min_size=0, max_size=3)
        case "map":
            return st.just({})
        case "boolean":
            return st.booleans()
        case "timestamp":
            return st.sampled_from(TIMES)
        case "string":
            if member in known and not shape.enum:
                return st.sampled_from([*known[member] * 8, *WORDS])
            if member in ("expression", "stringValue"):
                return st.sampled_from([*EXPRESSIONS, *WORDS])
            return st.sampled_from([*shape.enum * 8, *WORDS])
        case "blob":
            return st.sampled_from(["", "eA==", "!", "e" * 1001, "AAAA" * 1000])
    return st.sampled_from(NUMBERS)


def _with_definition(made: dict[str, Any], seed: int, lists: list[str]) -> dict[str, Any]:
    """Three of four times the lists of a definition belong together."""
    if "pipelineObjects" not in lists or seed % 4 == 0:
        return made
    return {**made, **{key: definition(seed)[key] for key in lists}}


@st.composite
def spoiled(draw: Any, base: st.SearchStrategy[Any]) -> Any:
    """A value with up to three places changed: another value, a member missing, unknown, or there twice."""
    tree = _copied(draw(base))
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 3]))):
        places = list(_places(tree))
        kind = draw(st.integers(0, 9))
        if not places or kind == 0:
            if type(tree) is dict:
                tree[draw(st.sampled_from(UNKNOWN))] = _copied(draw(st.sampled_from(JUNK)))
            continue
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        if kind == 1:
            del holder[key]
        elif kind == 2 and type(holder) is dict:
            holder[key] = Raw(f"{written(holder[key], _ANYTHING)},{json.dumps(key)}:{json.dumps('twice')}")
        else:
            holder[key] = _copied(draw(st.sampled_from(JUNK)))
    return tree


class _Anything(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "df-00000000000000000000"


_ANYTHING = _Anything()


def _copied(value: Any) -> Any:
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if type(value) is list else value


def _places(value: Any) -> Any:
    items = value.items() if type(value) is dict else enumerate(value) if type(value) is list else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)


ENCODINGS: list[Any] = [
    *[lambda text: text.encode("utf-8", "surrogatepass")] * 60,
    lambda text: b"\xef\xbb\xbf" + text.encode(),
    lambda text: text.encode("utf-16"),
    lambda text: text.encode("utf-32-le"),
    lambda text: text.encode("latin-1", "replace"),
    lambda text: text.encode()[: len(text) // 2],
    lambda text: text.encode() + b"}",
    lambda text: b" \r\n\t" * 1000 + text.encode(),
    lambda text: text.encode() + b"\xff\x00",
    lambda text: text.replace(":", ":\\u003a").encode(),
    lambda text: b"",
]


FIELDS = [
    "period", "startDateTime", "endDateTime", "occurrences", "startAt", "scheduleType", "maximumRetries", "retryDelay",
    "attemptTimeout", "lateAfterTimeout", "reportProgressTimeout", "maxActiveInstances", "parent", "input", "output",
    "dependsOn", "runsOn", "schedule", "precondition", "onFail", "failureAndRerunMode", "workerGroup", "type", "id",
    "name", "command", "filePath", "my_", "_", "*my", "*", "@status", "@", "node", "terminateAfter",
    "preconditionTimeout",
]  # fmt: skip
VALUES = [
    "0 days", "0 seconds", "1 second", "100 years", "99 years", "1200 months", "0 months", "1 month", "0001-01-01",
    "0001-01-01T00:00:00", "9999-12-31T23:59:59", "9999-12-31", "2026-01-31", "1970-01-01", "0", "1", "2147483647",
    "-1",
    "FIRST_ACTIVATION_DATE_TIME", "ONDEMAND_PERIOD", "ONDEMAND_ACTIVATION_TIME", "ondemand", "cron", "timeseries",
    "Default", "Schedule", "ShellCommandActivity", "Ec2Resource", "Exists", "CASCADE", "#{my_}", "#{_}#{my_}",
]  # fmt: skip


@st.composite
def definitions(draw: Any) -> dict[str, Any]:
    """A definition with some fields changed to what is at the edge of what they may be."""
    made = _copied(definition(draw(st.integers(0, DEFINITIONS - 1))))
    ids = [obj["id"] for obj in made["pipelineObjects"]]
    places = [(obj, field) for obj in made["pipelineObjects"] for field in obj["fields"]]
    timed = [(obj, field) for obj, field in places if field["key"] in FIELDS[:12]]
    for _ in range(draw(st.integers(0, 4))):
        if timed and draw(st.booleans()):
            timed[draw(st.integers(0, len(timed) - 1))][1]["stringValue"] = draw(st.sampled_from(VALUES))
            continue
        fields = made["pipelineObjects"][draw(st.integers(0, len(ids) - 1))]["fields"]
        field = {"key": draw(st.sampled_from(FIELDS))}
        if draw(st.booleans()):
            field["refValue"] = draw(st.sampled_from([*ids, "Nobody", "#{my_}"]))
        else:
            field["stringValue"] = draw(st.sampled_from([*VALUES * 2, *EXPRESSIONS]))
        fields.append(field)
    return {**made, "pipelineObjects": [o for o in made["pipelineObjects"] if o["fields"] or draw(st.booleans())]}
