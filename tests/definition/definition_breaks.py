"""Breaks a definition in exactly one place, and says which problems would name that place.

A break is a function of a `Maker` that changes one thing of it; it gives the places (object id and field) of which at
least one must be named, or None where there is nothing of the kind to break. Some change the document instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from definition_maker import CATALOGUE, Made, Maker, Place, shared_slots, waits

from penstock.definition.fields import DECIDED_EARLY
from penstock.definition.slots import Slot, slots_of

Places = list[Place] | None
WRONG = {
    "integer": ["two", "2.5", "1_0", "3000000000", "٣", "0x1"],
    "double": ["half", "1,5", "1e", "."],
    "boolean": ["yes", "1", "truee", "on"],
    "period": ["soon", "15", "1 fortnight", "1.5 hours", "-1 day", "200 years", "99999999999999999999999 days"],
    "datetime": ["today", "2013-02-30", "2013-01-01 00:00:00", "2013-01-01T00:00:00+01:00", "13-01-01",
                 "2013-01-01T25:00:00"],
    "enum": ["nope", "cronn", "none,cascade"],
}  # fmt: skip
SYNTAX = [
    "#{", "#{}", "#{1 +}", "#{a b}", "#{ #{x} }", "#{(1}", "#{'a}", "#{nope(1)}", "#{format(@scheduledStartTime)}",
    "#{day('May')}", "#{format('2013-01-01', 'QQ')}", "#{9999999999999999999}", "x #{a ? b} y", "#{'\\d'}",
]  # fmt: skip
MEANING = [
    "#{myNowhere}", "a #{1/0} b", "#{@scheduledStartTime * 2}", "#{plusDays(@scheduledStartTime, 'x' + 1)}",
    "#{parent.myNowhere}", "#{'a' * 2}",
]  # fmt: skip


def typed(maker: Maker) -> list[Made]:
    """The objects, in any order."""
    return maker.random.sample(list(maker.objects.values()), len(maker.objects))


def fields_where(maker: Maker, fits: Callable[[Slot], bool]) -> Iterator[tuple[Made, Slot]]:
    """For each object with fields whose slots fit, one of these."""
    for obj in typed(maker):
        assert obj.cls is not None
        slots = slots_of(obj.cls)
        keys = [key for key in obj.fields if key in slots and fits(slots[key])]
        if keys:
            yield obj, slots[maker.random.choice(keys)]


def a_slot(maker: Maker, fits: Callable[[Slot], bool]) -> tuple[Made, Slot] | None:
    """Any slot that fits, set or not, of any object; sometimes one of Default that somebody inherits."""
    if maker.chance(0.2):
        for key, slot in shared_slots().items():
            if fits(slot) and any(inherits(obj, key) for obj in maker.objects.values()):
                return maker.default, slot
    for obj in typed(maker):
        assert obj.cls is not None
        fitting = [slot for slot in slots_of(obj.cls).values() if fits(slot) and slot.name != "parent"]
        if obj.cls.type_name() == "HiveActivity":
            fitting = [slot for slot in fitting if slot.name != "stage"]
        fitting = [slot for slot in fitting if not slot.at_most_one or slot.name in obj.fields]
        if fitting:
            return obj, maker.random.choice(fitting)
    return None


def inherits(obj: Made, key: str) -> bool:
    """Whether the object takes a field from Default."""
    slot = slots_of(obj.cls).get(key) if obj.cls is not None else None
    return slot is not None and not slot.unlisted and key not in obj.fields


def set_to(maker: Maker, fits: Callable[[Slot], bool], make: Callable[[Slot], list[Any] | None]) -> Places:
    """Put a wrong value into a slot that fits."""
    found = a_slot(maker, fits)
    if found is None:
        return None
    obj, slot = found
    values = make(slot)
    if values is None:
        return None
    before = obj.fields.get(slot.name, [])
    obj.fields[slot.name] = [*before, *values] if slot.many and maker.chance(0.5) else values
    return [(obj.id, slot.name)]


def wrong_kind(maker: Maker) -> Places:
    one = maker.random.choice
    kind = one(list(WRONG))
    wrong = [one(WRONG[kind])]
    if maker.chance(0.2):
        wrong = [f"#{{{maker.parameter('string', wrong[0])}}}"]
    return set_to(maker, lambda slot: slot.kind == kind, lambda slot: wrong)


def a_number_below_the_least(maker: Maker) -> Places:
    name, least = maker.random.choice([("maximumRetries", "-1"), ("maxActiveInstances", "0")])
    return set_to(maker, lambda slot: slot.name == name and not slot.unlisted, lambda slot: [least])


def reserved_worker_group(maker: Maker) -> Places:
    group = maker.random.choice(["penstock:x", "resource:df-1"])
    return set_to(maker, lambda slot: slot.name == "workerGroup", lambda slot: [group])


def missing_required(maker: Maker) -> Places:
    for obj, slot in fields_where(maker, lambda slot: slot.required):
        if slot.name not in maker.default.fields:
            del obj.fields[slot.name]
            return [(obj.id, slot.name)]
    return None


def missing_group(maker: Maker) -> Places:
    for obj, slot in fields_where(maker, lambda slot: slot.one_of is not None):
        assert obj.cls is not None
        group = [other.name for other in slots_of(obj.cls).values() if other.one_of == slot.one_of]
        if not set(group) & set(maker.default.fields):
            for name in group:
                obj.fields.pop(name, None)
            return [(obj.id, group[0])]
    return None


def both_of_a_group(maker: Maker) -> Places:
    for obj, slot in fields_where(maker, lambda slot: slot.at_most_one):
        assert obj.cls is not None
        group = [other for other in slots_of(obj.cls).values() if other.one_of == slot.one_of]
        for other in group:
            if other.name not in obj.fields:
                obj.fields[other.name] = maker.value(obj, other) or ["x"]
                return [(obj.id, member.name) for member in group]
    return None


def unknown_field(maker: Maker) -> Places:
    for obj in typed(maker):
        assert obj.cls is not None
        if not obj.cls.takes_any_field:
            names = ["comand", "type2", "mycommand", "Command", "password", "*stage", "ID", " command", "nöpe"]
            key = maker.random.choice(names)
            if key in slots_of(obj.cls):
                continue
            obj.fields[key] = [maker.word()]
            obj.pinned.add(key)
            return [(obj.id, key)]
    return None


def reference_to_nothing(maker: Maker) -> Places:
    return set_to(
        maker, lambda slot: slot.kind == "ref", lambda slot: [{"ref": maker.random.choice(["Nobody", "S3", " "])}]
    )


def reference_to_a_wrong_type(maker: Maker) -> Places:
    def wrong(slot: Slot) -> list[Any] | None:
        others = [o for o in maker.objects.values() if o.cls is not None and not issubclass(o.cls, slot.targets)]
        return [{"ref": maker.random.choice(others).id}] if others else None

    return set_to(maker, lambda slot: slot.kind == "ref", wrong)


def reference_to_default(maker: Maker) -> Places:
    return set_to(maker, lambda slot: slot.kind == "ref", lambda slot: [{"ref": "Default"}])


def text_for_a_reference(maker: Maker) -> Places:
    text = maker.random.choice([*maker.objects, "x", "#{myRef}"])
    return set_to(maker, lambda slot: slot.kind == "ref", lambda slot: [text])


def reference_for_a_text(maker: Maker) -> Places:
    target = maker.random.choice([*maker.objects, "Nobody"])
    return set_to(maker, lambda slot: slot.kind != "ref", lambda slot: [{"ref": target}])


def several_for_one(maker: Maker) -> Places:
    def two(slot: Slot) -> list[Any] | None:
        values = maker.value(maker.default, slot, 9) if slot.kind != "ref" else []
        if slot.kind == "ref":
            fitting = [o.id for o in maker.objects.values() if o.cls is not None and issubclass(o.cls, slot.targets)]
            values = [{"ref": fitting[0]}] if fitting else []
        return values * 2 if values else None

    return set_to(maker, lambda slot: not slot.many, two)


def broken_syntax(maker: Maker) -> Places:
    text = maker.random.choice(SYNTAX)
    return set_to(maker, lambda slot: slot.kind != "ref", lambda slot: [text])


def broken_meaning(maker: Maker) -> Places:
    text = maker.random.choice(MEANING)
    return set_to(maker, lambda slot: slot.kind != "ref" and not slot.is_secret, lambda slot: [text])


def runtime_in_an_early_field(maker: Maker) -> Places:
    text = maker.random.choice(["#{@scheduledStartTime}", "#{day(@scheduledStartTime)} days", "#{@pipelineId}"])
    return set_to(maker, lambda slot: slot.name in DECIDED_EARLY and slot.kind != "ref", lambda slot: [text])


def empty_text(maker: Maker) -> Places:
    return set_to(maker, lambda slot: slot.kind != "ref", lambda slot: [""])


def no_value(maker: Maker) -> Places:
    wrong = maker.random.choice([None, {"a": "b"}, [["a"]], {"ref": 5}, {"ref": "A", "x": "y"}, {}])
    return set_to(maker, lambda slot: True, lambda slot: [wrong])


def too_long(maker: Maker) -> Places:
    return set_to(maker, lambda slot: slot.kind == "string", lambda slot: ["é" * 5121])


def forbidden_character(maker: Maker) -> Places:
    text = "a" + maker.random.choice(["\x00", "\x08", "\ufffe"])
    return set_to(maker, lambda slot: slot.kind == "string", lambda slot: [text])


def long_name(maker: Maker) -> Places:
    obj = typed(maker)[0]
    key = "my" + "X" * 300
    obj.fields[key] = ["x"]
    obj.pinned.add(key)
    return [(obj.id, "field name")]


def circle(maker: Maker) -> Places:
    for obj in typed(maker):
        if waits(obj):
            obj.fields["dependsOn"] = [{"ref": obj.id}]
            return [(obj.id, "dependsOn")]
    return None


def circle_of_two(maker: Maker) -> Places:
    waiting = [obj for obj in typed(maker) if waits(obj)]
    if len(waiting) < 2:
        return None
    one, other = waiting[:2]
    one.fields["dependsOn"], other.fields["dependsOn"] = [{"ref": other.id}], [{"ref": one.id}]
    return [(one.id, "dependsOn"), (other.id, "dependsOn")]


def parents_in_a_circle(maker: Maker) -> Places:
    obj = typed(maker)[0]
    obj.fields["parent"] = [{"ref": obj.id}]
    return [(obj.id, "parent")]


def parent_of_nothing(maker: Maker) -> Places:
    obj = typed(maker)[0]
    obj.fields["parent"] = [maker.random.choice([{"ref": "Nobody"}, "Default", 5])]
    return [(obj.id, "parent")]


def unknown_type(maker: Maker) -> Places:
    obj = typed(maker)[0]
    wrong = ["ShelCommandActivity", "csv", "Activity", "#{myType}", "S3 DataNode", "Declared"]
    obj.fields["type"] = [maker.random.choice(wrong)]
    obj.pinned.add("type")
    return [(obj.id, "type")]


def bad_period(maker: Maker) -> Places:
    wrong = ["0 days", "4 years", "monthly", "15", "1 day 2 hours", "-1 day", ""]
    if not maker.on_demand:
        wrong.append("ONDEMAND_PERIOD")
    return of_a_schedule(maker, "period", maker.random.choice(wrong))


def bad_start(maker: Maker) -> Places:
    wrong = ["NOW", "2013-01-01", *([] if maker.on_demand else ["ONDEMAND_ACTIVATION_TIME"])]
    return of_a_schedule(maker, "startAt", maker.random.choice(wrong))


def end_before_the_start(maker: Maker) -> Places:
    places = of_a_schedule(maker, "startDateTime", "2013-01-02T00:00:00")
    if places is not None:
        schedule = maker.objects[places[0][0]]
        schedule.fields["endDateTime"] = [maker.random.choice(["2013-01-02", "2012-01-01T00:00:00"])]
        schedule.fields.pop("occurrences", None)
        places = [(schedule.id, "endDateTime")]
    return places


def two_ends(maker: Maker) -> Places:
    places = of_a_schedule(maker, "occurrences", "3")
    if places is not None:
        maker.objects[places[0][0]].fields["endDateTime"] = ["2040-01-01"]
    return places


def of_a_schedule(maker: Maker, key: str, text: str) -> Places:
    """Set a field of a schedule, and take out the other start."""
    for schedule in maker.schedules():
        schedule.fields[key] = [text]
        for start in ("startAt", "startDateTime"):
            if key in ("startAt", "startDateTime") and key != start:
                schedule.fields.pop(start, None)
        return [(schedule.id, key)]
    return None


def no_schedule(maker: Maker) -> Places:
    if maker.on_demand or "schedule" in maker.default.fields:
        return None
    for obj in typed(maker):
        if obj.cls is not None and obj.cls.family in ("Activity", "DataNode") and "schedule" in obj.fields:
            del obj.fields["schedule"]
            return [(obj.id, "schedule")]
    return None


def unstaged_hive(maker: Maker) -> Places:
    for obj in typed(maker):
        if obj.cls is CATALOGUE.types["HiveActivity"]:
            key = maker.random.choice(["input", "output"])
            obj.fields.pop(key)
            obj.fields["stage"] = ["True"]
            return [(obj.id, key)]
    return None


# Parameters


def wrong_parameter(maker: Maker) -> Places:
    """A parameter whose type, value or number of values is wrong."""
    identity = maker.parameter("string", "text")
    made = maker.parameters[identity]
    for key in ("allowedValues", "optional", "type"):
        made.pop(key, None)
    field = "values"
    match maker.random.randrange(6):
        case 0:
            made["type"], field = maker.random.choice(["Number", "string?", "AWS::EC2::SecurityGroup::Name"]), "type"
        case 1:
            made["type"] = maker.random.choice(["Integer", "DOUBLE"])
        case 2:
            made["allowedValues"] = ["a", "b"]
        case 3:
            made.pop("default", None)
            maker.values[identity] = ["a", "b"]
        case 4:
            made.pop("default", None)
            maker.values.pop(identity, None)
        case 5:
            made["description"], field = {"a": "b"}, "description"
    return [(identity, field)]


# The document


def twice_the_same_id(document: dict[str, Any], maker: Maker) -> Places:
    obj = maker.random.choice(document["objects"])
    document["objects"].append(dict(obj))
    return [(obj.get("id", obj.get("name")), "id")]


def twice_the_same_parameter(document: dict[str, Any], maker: Maker) -> Places:
    if not maker.parameters:
        return None
    made = maker.random.choice(document["parameters"])
    document["parameters"].append(dict(made))
    return [(made["id"], "id")]


def missing_type(document: dict[str, Any], maker: Maker) -> Places:
    document["objects"].append({"id": "Orphan", "_x": "y"})
    return [("Orphan", "type")]


def misshapen(document: dict[str, Any], maker: Maker) -> Places:
    match maker.random.randrange(6):
        case 0:
            document["objets"] = []
            return [("", "objets")]
        case 1:
            document["objects"].append(maker.random.choice([5, None, "x", []]))
            return [("", "objects")]
        case 2:
            document["objects"].append({"type": "CSV"})
            return [("", "id")]
        case 3:
            document["objects"].append({"id": "Odd", "type": "CSV", "name": 5})
            return [("Odd", "name")]
        case 4:
            document["values"] = maker.random.choice([[], None, "x"])
            return [("", "values")]
        case _:
            document["objects"].append({"id": "@Odd", "type": "CSV"})
            return [("@Odd", "id")]


OF_THE_MAKER: dict[str, Callable[[Maker], Places]] = {
    call.__name__: call
    for call in (
        wrong_kind, a_number_below_the_least, reserved_worker_group, missing_required, missing_group, both_of_a_group,
        unknown_field, reference_to_nothing, reference_to_a_wrong_type, reference_to_default, text_for_a_reference,
        reference_for_a_text, several_for_one, broken_syntax, broken_meaning, runtime_in_an_early_field, empty_text,
        no_value, too_long, forbidden_character, long_name, circle, circle_of_two, parents_in_a_circle,
        parent_of_nothing, unknown_type, bad_period, bad_start, end_before_the_start, two_ends, no_schedule,
        unstaged_hive, wrong_parameter,
    )
}  # fmt: skip
OF_THE_DOCUMENT: dict[str, Callable[[dict[str, Any], Maker], Places]] = {
    call.__name__: call for call in (twice_the_same_id, twice_the_same_parameter, missing_type, misshapen)
}

OF_SEVERAL_FIELDS = ("both_of_a_group", "circle", "circle_of_two")
"""What no single field is wrong with: the object that has them all may be named instead of where one is written."""


def broken(random: Random) -> tuple[str, dict[str, Any], set[Place]]:
    """A definition with one break: the break's name, the document, and the places of which one must be named."""
    while True:
        maker = Maker(random)
        chosen = random.choice([*OF_THE_MAKER, *OF_THE_DOCUMENT])
        places = OF_THE_MAKER[chosen](maker) if chosen in OF_THE_MAKER else None
        document = maker.document()
        if chosen in OF_THE_DOCUMENT:
            places = OF_THE_DOCUMENT[chosen](document, maker)
        if places is not None:
            written = {(maker.holders.get(place, place[0]), place[1]) for place in places}
            return chosen, document, written | set(places if chosen in OF_SEVERAL_FIELDS else [])
