"""Every slot of every type against the facts of AWS's object reference, and the few differences that are meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.definition.slots import Slot, slots_of
from penstock.objects import NOT_BUILT, load_catalogue

REFERENCE = json.loads((Path(__file__).parent / "object_types.json").read_text(encoding="utf-8"))
TYPES = load_catalogue().types
KINDS = {
    ("Schedule", "period"): "string",  # ONDEMAND_PERIOD is no period
    ("Ec2Resource", "region"): "string",  # AWS makes new regions
    ("EmrCluster", "region"): "string",
    ("EmrCluster", "hadoopSchedulerType"): "string",  # of no meaning here
    ("Ec2Resource", "actionOnResourceFailure"): "enum",  # the guide's text lists the two words
    ("Ec2Resource", "actionOnTaskFailure"): "enum",
    ("EmrCluster", "actionOnResourceFailure"): "enum",
    ("EmrCluster", "actionOnTaskFailure"): "enum",
}
"""Slots whose kind differs from the reference."""
FOR_AWS_ONLY = {
    ("Ec2Resource", "role"),
    ("Ec2Resource", "resourceRole"),
    ("S3KeyExists", "role"),
    ("S3PrefixNotEmpty", "role"),
    ("SnsAlarm", "role"),
}
"""Required there, a warning here: IAM is Amazon's."""
NEEDED_HERE = {("CopyActivity", "input"), ("CopyActivity", "output")}
"""Optional in the reference's table, though nothing can be copied without."""
RUNTIME_HERE = {"node"}
"""Runtime fields that are slots, as the code of the type reads them."""


def wanted(name: str) -> dict[str, Any]:
    entry = REFERENCE["types"][name]
    common = REFERENCE["common"].get(entry["category"], {})
    found: dict[str, Any] = {"kinds": {}, "required": set(), "groups": set()}
    for source in (common, entry):
        for part in ("required", "optional", "invocation"):
            found["kinds"] |= source.get(part, {})
        found["required"] |= set(source.get("required", {}))
        found["groups"] |= {tuple(sorted(group)) for group in source.get("one_of", [])}
    return found


def groups_of(slots: dict[str, Slot]) -> set[tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for slot in slots.values():
        if slot.one_of is not None:
            groups.setdefault(slot.one_of, []).append(slot.name)
    return {tuple(sorted(names)) for names in groups.values() if len(names) > 1}


def test_each_type_of_the_reference_is_built_or_refused_by_name() -> None:
    assert set(REFERENCE["types"]) <= {*TYPES, *NOT_BUILT}
    assert not set(TYPES) & set(load_catalogue().not_built)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_type_has_the_slots_of_the_reference_and_no_others(name: str) -> None:
    slots = slots_of(TYPES[name])
    assert set(slots) - RUNTIME_HERE == set(wanted(name)["kinds"])


@pytest.mark.parametrize("name", sorted(TYPES))
def test_slots_have_the_kinds_of_the_reference(name: str) -> None:
    kinds = wanted(name)["kinds"]
    for slot in slots_of(TYPES[name]).values():
        if slot.name not in RUNTIME_HERE:
            assert slot.kind == KINDS.get((name, slot.name), kinds[slot.name]), slot.name


@pytest.mark.parametrize("name", sorted(TYPES))
def test_what_the_reference_requires_is_required(name: str) -> None:
    slots = slots_of(TYPES[name])
    required = {slot.name for slot in slots.values() if slot.required}
    aws_only = {slot.name for slot in slots.values() if slot.for_aws_only}
    assert aws_only == {field for owner, field in FOR_AWS_ONLY if owner == name}
    alone = {slot.name for slot in slots.values() if slot.one_of and (name, slot.name) in NEEDED_HERE}
    assert required | aws_only == wanted(name)["required"]
    assert alone == {field for owner, field in NEEDED_HERE if owner == name}


@pytest.mark.parametrize("name", sorted(TYPES))
def test_groups_are_those_of_the_reference(name: str) -> None:
    found = groups_of(slots_of(TYPES[name]))
    assert found == wanted(name)["groups"]


@pytest.mark.parametrize("name", sorted(TYPES))
def test_fields_of_run_time_are_no_slots(name: str) -> None:
    entry = REFERENCE["types"][name]
    common = REFERENCE["common"].get(entry["category"], {})
    runtime = {*entry.get("runtime", {}), *common.get("runtime", {}), *entry.get("system", {})}
    assert not (set(slots_of(TYPES[name])) - RUNTIME_HERE) & (runtime - set(wanted(name)["kinds"]))


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_and_slot_says_what_it_is(name: str) -> None:
    cls = TYPES[name]
    assert (cls.__doc__ or "").strip().endswith(".")
    assert cls.icon != "object"
    for slot in slots_of(cls).values():
        assert slot.doc.strip().endswith("."), slot.name


def test_passwords_are_the_secret_slots() -> None:
    secret = {(name, slot.name) for name, cls in TYPES.items() for slot in slots_of(cls).values() if slot.is_secret}
    assert secret == {("JdbcDatabase", "*password")}
