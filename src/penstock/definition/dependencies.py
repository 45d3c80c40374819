"""Which component waits for which: the guide's rules for inputs, outputs, dependsOn, preconditions and resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from penstock.definition.resolve import Resolved
from penstock.definition.slots import Catalogue


def family_of(resolved: Resolved, catalogue: Catalogue, identity: str) -> str:
    """The family (Activity, DataNode, …) of an object; nothing for Default and untyped parents."""
    obj = resolved.objects.get(identity)
    cls = catalogue.find(obj.text("type")) if obj is not None else None
    return cls.family if cls is not None else ""


def component_graph(resolved: Resolved, catalogue: Catalogue) -> Mapping[str, tuple[str, ...]]:
    """For each activity and data node, what it waits for."""
    writers: dict[str, list[str]] = {}
    families = {identity: family_of(resolved, catalogue, identity) for identity in resolved.objects}
    for identity, obj in resolved.objects.items():
        if families[identity] == "Activity":
            for target in obj.refs("output"):
                writers.setdefault(target, []).append(identity)
    graph: dict[str, tuple[str, ...]] = {}
    for identity, obj in resolved.objects.items():
        if families[identity] == "Activity":
            found = [*obj.refs("input"), *obj.refs("dependsOn")]
        elif families[identity] == "DataNode":
            found = [*obj.refs("dependsOn"), *writers.get(identity, [])]
        else:
            continue
        graph[identity] = tuple(dict.fromkeys(ref for ref in found if families.get(ref) in ("Activity", "DataNode")))
    return graph


def reachable(graph: Mapping[str, tuple[str, ...]], identity: str) -> set[str]:
    """Everything that an object waits for, directly or through others."""
    found: set[str] = set()
    left = [identity]
    while left:
        new = [other for other in graph.get(left.pop(), ()) if other not in found]
        found.update(new)
        left += new
    return found


MOST_CIRCLES = 10


def find_circles(graph: Mapping[str, tuple[str, ...]]) -> list[list[str]]:
    """Ten circles of the graph at most, each with its first member repeated at the end; no two end alike."""
    left = dict(graph)
    found: list[list[str]] = []
    while len(found) < MOST_CIRCLES and (circle := _find_circle(left)):
        found.append(circle)
        left[circle[-2]] = tuple(target for target in left[circle[-2]] if target != circle[-1])
    return found


def _find_circle(graph: Mapping[str, tuple[str, ...]]) -> list[str]:
    done: set[str] = set()
    for root in graph:
        if root in done:
            continue
        path, on_path = [root], {root}
        stack: list[tuple[str, Iterator[str]]] = [(root, iter(graph[root]))]
        while stack:
            node, successors = stack[-1]
            following = next(successors, None)
            if following is None:
                stack.pop()
                path.pop()
                on_path.discard(node)
                done.add(node)
            elif following in on_path:
                return [*path[path.index(following) :], following]
            elif following not in done:
                stack.append((following, iter(graph.get(following, ()))))
                path.append(following)
                on_path.add(following)
    return []
