"""What an object inherits: the fields of its parents, or of Default where it has none."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.definition.model import DEFAULT, Definition, PipelineObject

DEEPEST_PARENTS = 32


def inherited(definition: Definition, obj: PipelineObject) -> PipelineObject:
    """The object with its parents' fields, or those of Default where it has no parent (service_facts, section 2).

    Its own fields come first. The type of Default, and of a parent that says it is of the type Default, is no one
    else's.
    """
    fields = dict(obj.fields)
    for ancestor in ancestors(definition, obj):
        for key, values in ancestor.fields.items():
            if key != "parent" and (key != "type" or (ancestor.id != DEFAULT and values != (DEFAULT,))):
                fields.setdefault(key, values)
    return PipelineObject(obj.id, obj.name, fields)


def ancestors(definition: Definition, obj: PipelineObject) -> Iterator[PipelineObject]:
    """The objects that an object inherits from, nearest first.

    A parent that does not exist, a circle of parents, or the thirty-third parent ends the chain.
    """
    seen = {obj.id}
    current: PipelineObject | None = obj
    while current is not None and len(seen) <= DEEPEST_PARENTS:
        parents = current.refs("parent")
        if parents:
            current = definition.objects.get(parents[0])
        elif current.id != DEFAULT:
            current = definition.objects.get(DEFAULT)
        else:
            current = None
        if current is None or current.id in seen:
            return
        seen.add(current.id)
        yield current
