"""SetStatus in all its forms: on instances of every family in every status, and on components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from story import SYSTEM, Pipe, Story, Task, activity, data_node, day, exists, on_demand, ref, resource, scheduled

from penstock.api import tasks
from penstock.wire.errors import ServiceError

NewStory = Callable[..., Story]
AT = "2024-01-01T00:00:00"
A, B, D, P, R = (f"@{component}_{AT}" for component in "ABDPR")
BEFORE = f"@Before_{AT}"
VERBS = ("TRY_CANCEL", "MARK_FINISHED", "RERUN")  # other stories use CANCEL, which does what TRY_CANCEL does
ENDS = {"TRY_CANCEL": "CANCELED", "MARK_FINISHED": "FINISHED"}
GROUP = "resource:{}_" + R

ACTIVITY = on_demand(
    activity("Before", maximumRetries="0"),
    activity("A", maximumRetries="0", dependsOn=ref("Before")),
    activity("B", workerGroup="none", dependsOn=ref("A"), failureAndRerunMode="none"),
)
DATA_NODE = on_demand(activity("Before", maximumRetries="0", output=ref("D")), data_node("D"))
PRECONDITION = on_demand(exists("P", maximumRetries="0"), activity("A", workerGroup="work", precondition=ref("P")))
RESOURCE = on_demand(
    activity("Before"),
    resource("R", maximumRetries="0", terminateAfter="5 minutes"),
    activity("A", runsOn=ref("R"), dependsOn=ref("Before"), maximumRetries="0"),
)


def call(story: Story, pipe: Pipe) -> None:
    """The resource's own task runner calls."""
    request = {"taskrunnerId": "runner-1", "workerGroup": GROUP.format(pipe.id), "hostname": "host-1"}
    tasks.report_task_runner_heartbeat(story.call("runner"), request)


def do(story: Story, pipe: Pipe, step: str, held: list[Task]) -> None:
    """One step on the way to a status."""
    group = GROUP.format(pipe.id)
    match step:
        case "take":
            held.append(story.take())
        case "take it on the resource":
            held.append(story.take(group))
        case "take the resource":
            held.append(story.take(SYSTEM))
        case "call":
            call(story, pipe)
        case "finish" | "fail":
            story.end(held.pop(), "FINISHED" if step == "finish" else "FAILED")
        case "wait":
            story.later(minutes=5)
        case _:
            verb, _, name = step.partition(" ")
            pipe.set_status(verb, f"@{name}_{AT}")


@dataclass(frozen=True)
class Case:
    """A status of an instance: the way there, and what the verbs make of it; others are refused."""

    definition: dict[str, object]
    instance: str
    status: str
    way: tuple[str, ...] = ()
    verbs: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.instance[1]}-{self.status}"


def rerun(status: str) -> dict[str, str]:
    return {"RERUN": status}


def unsuccessful(status: str) -> dict[str, str]:
    return {"RERUN": status, "MARK_FINISHED": "FINISHED"}


UP = ("take", "finish", "take the resource", "call")
CASES = [
    Case(ACTIVITY, A, "WAITING_ON_DEPENDENCIES", (), ENDS),
    Case(ACTIVITY, A, "WAITING_FOR_RUNNER", ("take", "finish"), ENDS),
    Case(ACTIVITY, A, "RUNNING", ("take", "finish", "take"), ENDS),
    Case(ACTIVITY, A, "FINISHED", ("take", "finish", "take", "finish"), rerun("WAITING_FOR_RUNNER")),
    Case(ACTIVITY, A, "FAILED", ("take", "finish", "take", "fail"), unsuccessful("WAITING_FOR_RUNNER")),
    Case(ACTIVITY, A, "CANCELED", ("CANCEL A",), unsuccessful("WAITING_ON_DEPENDENCIES")),
    Case(ACTIVITY, A, "CASCADE_FAILED", ("take", "fail"), unsuccessful("CASCADE_FAILED")),
    Case(DATA_NODE, D, "WAITING_ON_DEPENDENCIES", (), ENDS),
    Case(DATA_NODE, D, "FINISHED", ("take", "finish"), rerun("FINISHED")),
    Case(DATA_NODE, D, "CANCELED", ("CANCEL D",), unsuccessful("WAITING_ON_DEPENDENCIES")),
    Case(DATA_NODE, D, "CASCADE_FAILED", ("take", "fail"), unsuccessful("CASCADE_FAILED")),
    Case(PRECONDITION, P, "WAITING_FOR_RUNNER", (), ENDS),
    Case(PRECONDITION, P, "RUNNING", ("take",), ENDS),
    Case(PRECONDITION, P, "FINISHED", ("take", "finish"), rerun("WAITING_FOR_RUNNER")),
    Case(PRECONDITION, P, "FAILED", ("take", "fail"), unsuccessful("WAITING_FOR_RUNNER")),
    Case(PRECONDITION, P, "CANCELED", ("CANCEL P",), unsuccessful("WAITING_FOR_RUNNER")),
    Case(RESOURCE, R, "WAITING_ON_DEPENDENCIES", (), ENDS),
    Case(RESOURCE, R, "CREATING", ("take", "finish"), {"TRY_CANCEL": "CANCELED"}),
    Case(RESOURCE, R, "RUNNING", UP, {"TRY_CANCEL": "CANCELED"}),
    Case(
        RESOURCE,
        R,
        "SHUTTING_DOWN",
        (*UP, "take it on the resource", "finish"),
        {"TRY_CANCEL": "CANCELED"},
    ),
    Case(RESOURCE, R, "FINISHED", (*UP, "take it on the resource", "finish", "finish"), rerun("CREATING")),
    Case(RESOURCE, R, "FAILED", (*UP, "fail"), unsuccessful("CREATING")),
    Case(RESOURCE, R, "TIMEDOUT", (*UP, "wait"), unsuccessful("CREATING")),
    Case(RESOURCE, R, "CANCELED", ("take", "finish", "CANCEL R"), unsuccessful("CREATING")),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_verb_moves_an_instance_or_is_refused_with_its_status(new_story: NewStory, case: Case) -> None:
    for verb in case.verbs:
        story = new_story(system_lease=1e6)
        pipe = story.pipeline(case.definition)
        held: list[Task] = []
        for step in case.way:
            do(story, pipe, step, held)
        assert pipe.status(case.instance) == case.status, case.way
        for other in set(VERBS) - set(case.verbs):
            with pytest.raises(ServiceError, match=f"is {case.status}, which {other} cannot change"):
                pipe.set_status(other, case.instance)
        before = len(pipe.moves(case.instance))
        pipe.set_status(verb, case.instance)
        assert pipe.status(case.instance) == case.verbs[verb], verb
        assert len(pipe.moves(case.instance)) > before, "it was moved, if only to fall back"
        for task in held:
            if verb != "RERUN":
                assert story.report(task), "who holds the task is told"


def test_a_skipped_instance_can_only_be_run_again(new_story: NewStory) -> None:
    story = new_story("2024-01-02T00:00:00")
    pipe = story.pipeline(scheduled(activity("A")), start="2024-01-02T00:00:00")
    for verb in set(VERBS) - {"RERUN"}:
        with pytest.raises(ServiceError, match=f"is SKIPPED, which {verb} cannot change"):
            pipe.set_status(verb, day("A", 1))
    pipe.set_status("RERUN", day("A", 1))
    assert pipe.status(day("A", 1)) == "WAITING_FOR_RUNNER"


def test_components_are_paused_and_instances_are_run_again_and_not_the_other_way_round(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A")))
    for verb in VERBS:
        with pytest.raises(ServiceError, match=f"'A' is no instance of .*; {verb} works on instances"):
            pipe.set_status(verb, "A")
    for verb in ("PAUSE", "RESUME"):
        for identity in (A, "Default", "B"):
            with pytest.raises(ServiceError, match=f"'{identity}' is no component of .* that could {verb}"):
                pipe.set_status(verb, identity)


def test_one_that_is_refused_leaves_all_as_they_were(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A"), activity("B")))
    story.work()
    pipe.set_status("RERUN", A)
    with pytest.raises(ServiceError, match="is FINISHED, which CANCEL cannot change"):
        pipe.set_status("CANCEL", A, B)
    assert pipe.status(A) == "WAITING_FOR_RUNNER"


@pytest.mark.parametrize(
    ("component", "waiting"),
    [("A", A), ("P", P), ("D", D), ("R", R)],
    ids=["activity", "precondition", "data node", "resource"],
)
def test_every_family_can_be_paused_and_resumed(story: Story, component: str, waiting: str) -> None:
    pipe = story.pipeline(
        on_demand(
            resource("R"),
            exists("P", node=ref("D")),
            data_node("D", precondition=ref("P")),
            activity("A", runsOn=ref("R"), input=ref("D")),
        )
    )
    pipe.set_status("PAUSE", component)
    assert pipe.fields(component)["@status"] == ["PAUSED"]

    def go_on() -> None:
        group = GROUP.format(pipe.id)
        while story.work(group):
            pass
        if story.poll(SYSTEM) is not None:
            call(story, pipe)
            story.work(group)

    go_on()
    go_on()
    assert f"{component} is paused." in pipe.why(waiting)
    assert pipe.status(A) != "FINISHED"
    pipe.set_status("RESUME", component)
    go_on()
    go_on()
    assert pipe.status(A) == "FINISHED"


def test_what_comes_back_from_a_silent_runner_waits_for_a_producer_that_runs_again(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A"), activity("B", dependsOn=ref("A"))))
    story.end(story.take())
    assert story.poll() is not None  # B's task, which nobody acknowledges
    pipe.set_status("RERUN", A)
    assert pipe.status(B) == "RUNNING"
    again = story.take()
    story.later(minutes=2)
    assert pipe.status(B) == "WAITING_ON_DEPENDENCIES"
    story.end(again)
    assert story.work() == [B]


def test_another_try_waits_for_a_producer_that_runs_again(story: Story) -> None:
    pipe = story.pipeline(on_demand(activity("A"), activity("B", dependsOn=ref("A"), maximumRetries="1")))
    story.end(story.take())
    task = story.take()
    pipe.set_status("RERUN", A)
    story.end(task, "FAILED")
    assert pipe.status(B) == "WAITING_ON_DEPENDENCIES"
    assert story.work(answer=lambda task: "FAILED" if task.instance_id == B else "FINISHED") == [A, B]
    assert pipe.status(B) == "FAILED"
