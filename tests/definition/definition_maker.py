"""Makes whole definitions that must be valid, from the declarations of the object types.

`Maker` fills one definition: a Default, schedules, parameters, and objects of any type with all they need, each with a
rank: what waits has the higher one, so that nothing waits in a circle. What a type's `check` wants beyond its slots is
known here by name. `document` then spreads the fields over parents and writes the file form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

from penstock.definition.fields import DECIDED_EARLY
from penstock.definition.slots import Declared, Slot, slots_of
from penstock.objects import load_catalogue
from penstock.objects.families import Activity, DataNode, Scheduled

CATALOGUE = load_catalogue()
TYPES = sorted(CATALOGUE.types.values(), key=lambda cls: cls.type_name())
MOST_OBJECTS = 16
WORDS = [
    "s3://bucket/in/", "true", "echo hello", "for f in *.sh; do echo ${f%.sh}; done", "#", "}", "{", "# {x}", "été",
    "a, b", "SELECT 'x'\nFROM t", "1", "-", "\\,", "jdbc:sqlite:x.db", "com.example.Job", "arn:aws:sns:::t", "日本",
]  # fmt: skip
UNITS = ["second", "minute", "hour", "day", "week", "month", "year"]
FORMATS = ["YYYY-MM-dd", "yyyy/MM/dd HH:mm:ss", "YY", "EEE", "D"]
BELOW = ("input", "dependsOn")  # what an object waits for
Place = tuple[str, str]


@dataclass
class Made:
    """An object: its fields as lists of JSON values, and its rank; `pinned` fields stay where they are."""

    id: str
    cls: type[Declared] | None
    rank: float
    fields: dict[str, list[Any]] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)


@cache
def shared_slots() -> dict[str, Slot]:
    """Fields that Default may hold: alike in every type that has them, and no alternatives of others."""
    found: dict[str, list[Slot]] = {}
    for cls in TYPES:
        for slot in slots_of(cls).values():
            found.setdefault(slot.name, []).append(slot)
    return {
        name: slots[0]
        for name, slots in found.items()
        if len(slots) > 5
        and name not in ("parent", "schedule", "scheduleType", *BELOW, "output", "node", "precondition", "stage")
        and not any(slot.at_most_one for slot in slots)
        and len({(slot.kind, slot.many, slot.choices, slot.targets) for slot in slots}) == 1
    }


class Maker:
    """One definition in the making."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.on_demand = random.random() < 0.4
        self.units = random.choice([UNITS[:3], UNITS[2:6]])  # an interval is not linked with any number of others
        self.objects: dict[str, Made] = {}
        self.parameters: dict[str, dict[str, Any]] = {}
        self.values: dict[str, Any] = {}
        self.default = Made("Default", None, 0)
        self.holders: dict[Place, str] = {}
        self.make()

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def make(self) -> None:
        """Everything, in the order of need."""
        self.fill_default()
        for _ in range(self.random.randint(0 if self.on_demand else 1, 2)):
            self.add(CATALOGUE.types["Schedule"], 0.5)
        if not self.on_demand and self.chance(0.7):
            self.default.fields["schedule"] = [self.schedule()]
        for _ in range(self.random.randint(1, 4)):
            self.add(self.random.choice(TYPES), self.random.random())
        for name, slot in shared_slots().items():
            if self.chance(0.1) and (slot.kind != "ref" or len(self.objects) < MOST_OBJECTS):
                values = self.value(self.default, slot)
                if values:
                    self.default.fields[name] = values

    def fill_default(self) -> None:
        kinds = ["ondemand"] if self.on_demand else ["cron", "timeseries"]
        if self.on_demand or self.chance(0.7):
            self.default.fields["scheduleType"] = [self.any_case(self.random.choice(kinds))]
        for number in range(self.random.randint(0, 2)):
            self.default.fields[f"myConstant{number}"] = [self.word()]

    def add(self, cls: type[Declared], rank: float, depth: int = 0) -> Made:
        """An object of a type with all it needs and some of what it may have."""
        obj = Made(f"{cls.type_name()[:12]}{len(self.objects)}", cls, rank)
        self.objects[obj.id] = obj
        if cls.type_name() == "Schedule":
            self.fill_schedule(obj)
            return obj
        slots = slots_of(cls)
        wanted = {slot.name for slot in slots.values() if slot.required}
        for group in {slot.one_of for slot in slots.values() if slot.one_of}:
            members = [slot for slot in slots.values() if slot.one_of == group]
            count = 1 if members[0].at_most_one else self.random.randint(1, len(members))
            wanted |= {slot.name for slot in self.random.sample(members, count)}
        for slot in slots.values():
            if slot.one_of is None and self.chance(0.12 if depth else 0.25):
                wanted.add(slot.name)
        if cls.type_name() == "HiveActivity":
            wanted |= {"input", "output"}
        for name in slots:
            if name in wanted and name not in obj.fields and name not in ("parent", "schedule", "scheduleType"):
                self.fill(obj, slots[name], depth)
        if issubclass(cls, Scheduled):
            self.fill_timing(obj)
        if self.chance(0.2):
            self.user_field(obj)
        return obj

    def fill(self, obj: Made, slot: Slot, depth: int) -> None:
        assert obj.cls is not None
        values = self.value(obj, slot, depth)
        if values:
            obj.fields[slot.name] = values

    def fill_timing(self, obj: Made) -> None:
        has_default = "schedule" in self.default.fields
        if (not self.on_demand and not has_default) or (self.chance(0.2) and self.schedules()):
            obj.fields["schedule"] = [self.schedule()]
        if self.chance(0.2):
            kinds = ["cron", "timeseries", *(["ondemand"] if self.on_demand else [])]
            obj.fields["scheduleType"] = self.literal("enum", self.any_case(self.random.choice(kinds)))

    def fill_schedule(self, obj: Made) -> None:
        """What a schedule wants: one start, one end at most, in order; ONDEMAND_PERIOD for on-demand pipelines only."""
        one = self.random.choice
        if self.on_demand and self.chance(0.5):
            obj.fields["period"] = [self.any_case("ONDEMAND_PERIOD")]
        else:
            obj.fields["period"] = self.literal("period", f"{self.random.randint(1, 9)} {one(self.units)}")
        if self.chance(0.6):
            obj.fields["startDateTime"] = self.literal("datetime", "2013-01-01T00:00:00")
        else:
            choices = ["FIRST_ACTIVATION_DATE_TIME", *(["ONDEMAND_ACTIVATION_TIME"] if self.on_demand else [])]
            obj.fields["startAt"] = self.literal("enum", self.any_case(one(choices)))
        end = self.random.random()
        if end < 0.3:
            obj.fields["endDateTime"] = self.literal("datetime", one(["2013-01-02", "2030-12-31T23:59:59Z"]))
        elif end < 0.6:
            obj.fields["occurrences"] = self.literal("integer", "3")

    def schedules(self) -> list[Made]:
        return [obj for obj in self.objects.values() if obj.cls is CATALOGUE.types["Schedule"]]

    def schedule(self) -> dict[str, str]:
        return {"ref": self.random.choice(self.schedules()).id}

    # Values

    def value(self, obj: Made, slot: Slot, depth: int = 0) -> list[Any]:
        """One or more values that fit a slot; none where no object can be had for an optional reference."""
        if slot.kind == "ref":
            return self.references(obj, slot, depth)
        count = self.random.randint(1, 3) if slot.many else 1
        if slot.many and self.chance(0.1):
            return self.array_parameter([self.word() for _ in range(count)])
        if not slot.required and slot.one_of is None and obj.cls is not None and self.chance(0.04):
            return [self.unset_parameter()]
        made: list[Any] = []
        for _ in range(count):
            made += self.scalar(obj, slot)
        return made

    def scalar(self, obj: Made, slot: Slot) -> list[Any]:
        one = self.random.choice
        if slot.is_secret:
            return [f"#{{{self.parameter('string', self.word(), secret=True)}}}"] if self.chance(0.5) else [self.word()]
        match slot.kind:
            case "integer":
                low, high = (9, 20) if slot.name == "maximum" else (1, 9)  # never below 'minimum'
                return self.literal("integer", str(self.random.randint(low, high)))
            case "double":
                return self.literal("double", one(["1", "0.5", ".5", "1e3", "-2.5"]))
            case "boolean":
                value = "false" if slot.name == "stage" else one(["true", "false"])
                return self.literal("boolean", self.any_case(value))
            case "period":
                text = f"{self.random.randint(1, 9)}{one([' ', '', '  '])}{one(UNITS)}{one(['', 's'])}"
                return self.literal("period", self.any_case(text))
            case "datetime":
                return self.literal("datetime", one(["2013-01-01", "2013-01-31T12:30:00", "2013-02-28T01:02:03Z"]))
            case "enum":
                return self.literal("enum", self.any_case(one(slot.choices)))
        if slot.name == "workerGroup" or slot.name in DECIDED_EARLY:
            return self.literal("string", one(["group", "été", "a b"]))
        if obj.cls is not None and self.chance(0.35):
            return [self.text_with_expressions(obj)]
        return self.literal("string", self.word())

    def literal(self, kind: str, text: str) -> list[Any]:
        """A text of a kind as it is, as JSON's number or boolean, between blanks, or by a parameter."""
        if self.chance(0.1):
            return [f"#{{{self.parameter(kind, text)}}}"]
        if kind == "integer" and self.chance(0.3):
            return [self.random.choice([int(text), f"+{text}", f" {text} "])]
        if kind == "boolean" and self.chance(0.3):
            return [text.lower() == "true"]
        return [text]

    def any_case(self, text: str) -> str:
        return self.random.choice([str, str.upper, str.lower, str.title])(text)

    def word(self) -> str:
        return self.random.choice(WORDS)

    def references(self, obj: Made, slot: Slot, depth: int) -> list[Any]:
        count = self.random.randint(1, 2) if slot.many else 1
        found = [target.id for _ in range(count) if (target := self.target(obj, slot, depth)) is not None]
        found = list(dict.fromkeys(found))
        if found and self.chance(0.05):
            if slot.many:
                return [{"ref": self.array_parameter(found)[0]}]
            return [{"ref": f"#{{{self.parameter('string', found[0])}}}"}]
        return [{"ref": identity} for identity in found]

    def target(self, obj: Made, slot: Slot, depth: int) -> Made | None:
        """An object that a slot may refer to, perhaps a new one."""
        low, high = 0.0, 1.0
        if slot.name in BELOW:
            high = obj.rank
        elif slot.name == "output":
            low = obj.rank
        is_bounded = (low, high) != (0.0, 1.0)
        fitting = [
            other
            for other in self.objects.values()
            if other.cls is not None and issubclass(other.cls, slot.targets) and other is not obj
            if not is_bounded or low < other.rank < high
        ]
        needed = slot.required or slot.one_of is not None or (obj.cls and obj.cls.type_name() == "HiveActivity")
        if fitting and self.chance(0.7):
            return self.random.choice(fitting)
        if len(self.objects) >= MOST_OBJECTS and not needed:
            return None
        if depth > 3 and not needed:
            return None
        choices = [cls for cls in TYPES if issubclass(cls, slot.targets)]
        return self.add(self.random.choice(choices), self.random.uniform(low, high), depth + 1)

    # Parameters, user fields and expressions

    def parameter(self, kind: str, text: str, *, secret: bool = False) -> str:
        """A new parameter of a value; gives its id."""
        identity = f"{'*' if secret else ''}my{self.random.choice(['Value', '_v', '2'])}{len(self.parameters)}"
        made: dict[str, Any] = {"id": identity}
        kinds = {"integer": ["Integer", "Double"], "double": ["Double"]}.get(kind, [])
        if self.chance(0.5):
            made["type"] = self.any_case(self.random.choice(["String", "AWS::S3::ObjectKey", *kinds]))
        if self.chance(0.3):
            made["description"] = self.word()
        if self.chance(0.2):
            made["allowedValues"] = ["other", text]
        if self.chance(0.6):
            made["default"] = text
        else:
            self.values[identity] = text
        if self.chance(0.2):
            made["optional"] = self.any_case("true")
        self.parameters[identity] = made
        return identity

    def array_parameter(self, texts: list[str]) -> list[str]:
        identity = f"myArray{len(self.parameters)}"
        self.parameters[identity] = {"id": identity, "isArray": self.random.choice(["true", "TRUE", True])}
        self.values[identity] = texts
        return [f"#{{{identity}}}"]

    def unset_parameter(self) -> str:
        identity = f"myUnset{len(self.parameters)}"
        self.parameters[identity] = {"id": identity, "optional": "true"}
        return f"#{{{identity}}}"

    def user_field(self, obj: Made) -> str:
        key = f"{self.random.choice(['my', '_', '*_', '*my'])}Field{len(obj.fields)}"
        obj.fields[key] = [self.word() for _ in range(self.random.randint(1, 2))]
        return key

    def text_with_expressions(self, obj: Made) -> str:
        parts = [f"#{{{self.expression(obj)}}}" for _ in range(self.random.randint(1, 2))]
        return self.random.choice(["", "x ", "s3://b/"]) + self.random.choice(["", "-"]).join(parts)

    def expression(self, obj: Made, depth: int = 0) -> str:
        one, random = self.random.choice, self.random
        time = one(["@scheduledStartTime", "@scheduledEndTime", "@scheduledStartTime.plusDays(1)", "'2013-01-01'"])
        choices = [
            f"format({time}, '{one(FORMATS)}')",
            f"minusDays({time}, {random.randint(0, 40)})",
            f'{time}.midnight().format("{one(FORMATS)}")',
            f"inTimeZone({time}, 'Europe/Paris')",
            f"({random.randint(0, 9)} {one('+-*/^')} {random.randint(1, 9)})",
            one(["name", "@id", "'it\\'s}'", "parent.@id", "-1.5e3", "@pipelineId"]),
            self.parameter("string", self.word()),
        ]
        if obj.cls is not None and obj.cls.family in ("Action", "Precondition"):
            choices += ["node.@id", "node.@scheduledStartTime.format('YYYY')", "node.errorMessage"]
        choices += [key for key in self.default.fields if key.startswith("myConstant")]
        key = f"myOwn{len(obj.fields)}"
        if random.random() < 0.2:
            obj.fields[key] = [self.word()]
            choices = [key]
        if depth < 2 and random.random() < 0.2:
            return f"'x' + ({self.expression(obj, depth + 1)}) + {self.expression(obj, depth + 1)}"
        return one(choices)

    # The file form

    def document(self) -> dict[str, Any]:
        """The file form, with some fields moved to parents; `holders` says where a moved field stands."""
        made: list[dict[str, Any]] = []
        for obj in list(self.objects.values()):
            assert obj.cls is not None
            if self.chance(0.25):
                made += self.moved_to_parents(obj)
            made.append(self.written(obj, type_name=obj.cls.type_name()))
            if self.chance(0.08) and "type" not in obj.pinned:
                made.append({"id": f"{obj.id}Heir", "parent": {"ref": obj.id}})
        default = self.written(self.default)
        if self.chance(0.1):
            default = {"name": default.pop("id"), **default}
        made.append(default)
        self.random.shuffle(made)
        document: dict[str, Any] = {"objects": made}
        if self.parameters or self.chance(0.1):
            document["parameters"] = list(self.parameters.values())
        if self.values or self.chance(0.1):
            document["values"] = self.values
        if self.chance(0.1):
            document["metadata"] = {"any": ["thing"]}
        return document

    def moved_to_parents(self, obj: Made) -> list[dict[str, Any]]:
        """One to three parents above an object, each with some of its fields."""
        if "parent" in obj.fields:
            return []
        parents = [Made(f"{obj.id}Parent{n}", None, 0) for n in range(self.random.randint(1, 3))]
        for key in list(obj.fields):
            if key not in obj.pinned and self.chance(0.4):
                holder = self.random.choice(parents)
                holder.fields[key] = obj.fields.pop(key)
                self.holders[obj.id, key] = holder.id
        for child, parent in zip([obj, *parents], parents, strict=False):
            child.fields["parent"] = [{"ref": parent.id}]
        return [self.written(parent) for parent in parents]

    def written(self, obj: Made, type_name: str = "") -> dict[str, Any]:
        entry: dict[str, Any] = {"id": obj.id}
        if type_name and "type" not in obj.fields:
            entry["type"] = type_name
        if obj.id != "Default" and self.chance(0.3):
            entry["name"] = self.random.choice([obj.id, "A name", "#{myNowhere}"])
        for key, values in obj.fields.items():
            entry[key] = values[0] if len(values) == 1 and not self.chance(0.1) else values
        return entry


def waits(obj: Made) -> bool:
    """Whether an object can wait for others by dependsOn."""
    return obj.cls is not None and issubclass(obj.cls, Activity | DataNode)
