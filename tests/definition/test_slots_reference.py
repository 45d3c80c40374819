"""Every slot of every type against the facts of AWS's object reference, and the few differences that are meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from penstock.definition.slots import Slot, slots_of
from penstock.objects import load_catalogue

REFERENCE = json.loads((Path(__file__).parent / "object_types.json").read_text(encoding="utf-8"))
TYPES = load_catalogue().types
KINDS = {
    ("Schedule", "period"): "string",  # ONDEMAND_PERIOD is no period
    ("Ec2Resource", "region"): "string",  # AWS makes new regions
    ("EmrCluster", "region"): "string",
    ("DynamoDBDataNode", "region"): "string",
    ("RedshiftDatabase", "region"): "string",
    ("Ec2Resource", "actionOnResourceFailure"): "enum",  # the guide's text lists the two words
    ("Ec2Resource", "actionOnTaskFailure"): "enum",
    ("EmrCluster", "actionOnResourceFailure"): "enum",
    ("EmrCluster", "actionOnTaskFailure"): "enum",
}
"""Slots whose kind differs from the reference."""
FOR_AWS_ONLY = {
    ("Ec2Resource", "role"),
    ("Ec2Resource", "resourceRole"),
    ("DynamoDBDataExists", "role"),
    ("DynamoDBTableExists", "role"),
    ("S3KeyExists", "role"),
    ("S3PrefixNotEmpty", "role"),
    ("SnsAlarm", "role"),
}
"""Required there, a warning here: IAM is Amazon's."""
NEEDED_HERE = {("CopyActivity", "input"), ("CopyActivity", "output")}
"""Optional in the reference's table, though nothing can be copied without."""
NEEDED_WHILE_STAGED = {("HiveActivity", "input"), ("HiveActivity", "output")}
"""Required in the reference; in truth only while `stage` is true, which the type checks itself."""
UNLISTED = {
    ("Ec2Resource", "logUri"),
    ("EmrCluster", "emrLogUri"),
    ("EmrCluster", "hadoopVersion"),
    ("EmrCluster", "installHive"),
    ("MySqlDataNode", "*password"),
    ("MySqlDataNode", "connectionString"),
    ("MySqlDataNode", "databaseName"),
    ("MySqlDataNode", "username"),
    ("PigActivity", "generatedScriptsPath"),
    ("Schedule", "maxActiveInstances"),
    ("SqlDataNode", "*password"),
    ("SqlDataNode", "connectionString"),
    ("SqlDataNode", "databaseName"),
    ("SqlDataNode", "username"),
}
"""Not in the reference, though the guide's own examples, AWS's samples or real definitions have them: a warning."""
UNPUBLISHED = {"EbsBlockDeviceConfig", "EbsConfiguration", "GroupConfiguration", "VolumeSpecification"}
"""Types that the reference names without their fields; they take any field."""
EXTENSIONS = {"ExcelCSV", "JSONLines", "Parquet", "RowCountBetween", "SqlCheck"}
"""Types of our own."""
LISTED = sorted(set(TYPES) - UNPUBLISHED - EXTENSIONS)
UTILITIES = {"HttpProxy"}
"""Types of the reference's category Resource that the guide has among the utilities: nothing runs on them."""
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


def test_every_type_of_the_reference_is_declared() -> None:
    assert len(REFERENCE["types"]) == 38
    assert set(LISTED) == set(REFERENCE["types"])


@pytest.mark.parametrize("name", LISTED)
def test_a_type_is_of_the_family_of_the_reference(name: str) -> None:
    category = REFERENCE["types"][name]["category"]
    assert TYPES[name].family == ("Utility" if name in UTILITIES else category)


def test_types_whose_fields_are_not_published_take_any_field() -> None:
    assert {name for name, cls in TYPES.items() if cls.takes_any_field} == UNPUBLISHED
    assert {TYPES[name].family for name in UNPUBLISHED} == {"Utility"}


def test_types_of_our_own_are_marked() -> None:
    assert {name for name, cls in TYPES.items() if cls.is_extension} == EXTENSIONS


def test_types_that_cannot_run_yet_say_so() -> None:
    assert {name for name, cls in TYPES.items() if not cls.is_built} == {
        "DynamoDBDataExists",
        "DynamoDBDataNode",
        "DynamoDBTableExists",
        "EmrActivity",
        "HadoopActivity",
        "HiveActivity",
        "HiveCopyActivity",
        "PigActivity",
    }


def test_fields_that_the_reference_lacks_are_marked() -> None:
    slots = {(name, slot.name): slot for name, cls in TYPES.items() for slot in slots_of(cls).values()}
    assert {place for place, slot in slots.items() if slot.unlisted} == UNLISTED
    assert all(slots[place].unlisted.endswith(".") for place in UNLISTED)


@pytest.mark.parametrize("name", LISTED)
def test_a_type_has_the_slots_of_the_reference_and_no_others(name: str) -> None:
    unlisted = {field for owner, field in UNLISTED if owner == name}
    extensions = {slot.name for slot in slots_of(TYPES[name]).values() if slot.is_extension}
    assert set(slots_of(TYPES[name])) - RUNTIME_HERE - extensions == set(wanted(name)["kinds"]) | unlisted
    assert not extensions & set(wanted(name)["kinds"])


@pytest.mark.parametrize("name", LISTED)
def test_slots_have_the_kinds_of_the_reference(name: str) -> None:
    kinds = wanted(name)["kinds"]
    for slot in slots_of(TYPES[name]).values():
        if slot.name not in RUNTIME_HERE and (name, slot.name) not in UNLISTED and not slot.is_extension:
            assert slot.kind == KINDS.get((name, slot.name), kinds[slot.name]), slot.name


@pytest.mark.parametrize("name", LISTED)
def test_what_the_reference_requires_is_required(name: str) -> None:
    slots = slots_of(TYPES[name])
    required = {slot.name for slot in slots.values() if slot.required}
    aws_only = {slot.name for slot in slots.values() if slot.for_aws_only}
    assert aws_only == {field for owner, field in FOR_AWS_ONLY if owner == name}
    alone = {slot.name for slot in slots.values() if slot.one_of and (name, slot.name) in NEEDED_HERE}
    staged = {field for owner, field in NEEDED_WHILE_STAGED if owner == name}
    assert required | aws_only | staged == wanted(name)["required"]
    assert alone == {field for owner, field in NEEDED_HERE if owner == name}


@pytest.mark.parametrize("name", LISTED)
def test_groups_are_those_of_the_reference(name: str) -> None:
    found = groups_of(slots_of(TYPES[name]))
    assert found == wanted(name)["groups"]


@pytest.mark.parametrize("name", LISTED)
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
    databases = {"JdbcDatabase", "MySqlDataNode", "RdsDatabase", "RedshiftDatabase", "SqlDataNode"}
    assert secret == {(name, "*password") for name in {*databases, "HttpProxy"}}
