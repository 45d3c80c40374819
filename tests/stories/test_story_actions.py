"""Alarms, lateness and what is said about instances."""

from __future__ import annotations

from story import SYSTEM, Story, activity, alarm, data_node, day, exists, on_demand, ref, resource, schedule, scheduled

AT = "2024-01-01T00:00:00"
A = f"@A_{AT}"


def test_alarms_tell_of_success_and_failure_with_the_nodes_fields(story: Story) -> None:
    good = alarm("Good", "#{node.@id} #{node.@status} #{node.myWord} #{node.@scheduledStartTime}", subject="well")
    bad = alarm("Bad", "#{node.@componentParent}: #{node.errorMessage} #{node.pipelineLogUri}", subject="oh")
    pipe = story.pipeline(
        on_demand(
            good,
            bad,
            activity("A", onSuccess=ref("Good"), onFail=ref("Bad"), myWord="hello"),
            activity("B", onSuccess=ref("Good"), onFail=ref("Bad"), maximumRetries="0"),
            pipelineLogUri="s3://logs/",
        )
    )
    story.work(answer=lambda task: "FINISHED" if task.instance_id == A else "FAILED")
    assert pipe.alarms() == [], "they are delivered by the loop"
    story.engine.run_due()
    assert pipe.alarms() == [
        f"well: {A} FINISHED hello 2024-01-01T00:00:00",
        "oh: B: it broke s3://logs/",
    ]
    story.engine.run_due()
    story.new_engine(story.folder).run_due()
    assert len(pipe.alarms()) == 2


def test_an_alarm_goes_out_even_with_an_expression_that_fails(story: Story) -> None:
    pipe = story.pipeline(on_demand(alarm("Good", "#{node.nothing.more} done"), activity("A", onSuccess=ref("Good"))))
    story.work()
    story.engine.run_due()
    (text,) = pipe.alarms()
    assert "done" in text


def test_a_cascade_failure_fires_the_consumers_alarms(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(
            alarm("Bad", "#{node.@id} #{node.@cascadeFailedOn}"),
            activity("A", maximumRetries="0"),
            activity("B", dependsOn=ref("A"), onFail=ref("Bad")),
        )
    )
    story.work(answer=lambda task: "FAILED")
    story.engine.run_due()
    assert pipe.alarms() == [f"subject: @B_{AT} {A}"]


def test_no_alarm_is_fired_while_tries_are_left(story: Story) -> None:
    pipe = story.pipeline(on_demand(alarm("Bad"), activity("A", onFail=ref("Bad"), maximumRetries="1")))
    story.end(story.take(), "FAILED")
    story.later(minutes=10)
    assert pipe.alarms() == []
    story.end(story.take(), "FAILED")
    story.engine.run_due()
    assert len(pipe.alarms()) == 1


def test_what_has_not_ended_in_time_is_late_once_and_goes_on(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(
            alarm("Late", "#{node.@id} is late"), activity("A", lateAfterTimeout="1 hour", onLateAction=ref("Late"))
        )
    )
    task = story.take()
    for _ in range(11):
        story.later(minutes=5)
        story.report(task)
    assert pipe.alarms() == []
    story.later(minutes=5)
    assert pipe.alarms() == [f"subject: {day('A', 1)} is late"]
    assert pipe.status(day("A", 1)) == "RUNNING"
    for _ in range(3):
        story.later(minutes=5)
        story.report(task)
    assert len(pipe.alarms()) == 1
    story.end(task)
    assert pipe.status(day("A", 1)) == "FINISHED"


def test_what_has_ended_in_time_is_never_late(story: Story) -> None:
    late = activity("A", lateAfterTimeout="1 hour", onLateAction=ref("Late"))
    pipe = story.pipeline(scheduled(alarm("Late"), late))
    story.work()
    story.later(hours=2)
    assert pipe.alarms() == []


def test_nothing_on_demand_is_ever_late(story: Story) -> None:
    pipe = story.pipeline(
        on_demand(alarm("Late"), activity("A", lateAfterTimeout="1 minute", onLateAction=ref("Late")))
    )
    story.later(hours=2)
    assert pipe.alarms() == []
    assert pipe.status(A) == "WAITING_FOR_RUNNER"


def test_whatever_waits_says_why(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(
            schedule("Weekly", "1 week"),
            resource("R"),
            exists("P"),
            data_node("D", precondition=ref("P")),
            activity("OnResource", runsOn=ref("R")),
            activity("Waits", input=ref("D")),
            activity("Later", schedule=ref("Weekly"), dependsOn=ref("Waits")),
            activity("Alone", workerGroup="nobody"),
        )
    )
    for _ in range(2):
        for instance in pipe.instances():
            if instance.ended_at is None and instance.status != "RUNNING":
                assert pipe.why(instance.instance_id), instance
            else:
                assert pipe.why(instance.instance_id) == []
        story.work()
    assert pipe.why(day("Alone", 1)) == ["No task runner of worker group 'nobody' has taken it yet."]
    assert pipe.why(day("OnResource", 1)) == [f"{day('R', 1)} is CREATING."]
    assert f"{day('Waits', 2)} has not been made yet." in pipe.why(day("Later", 1))
    assert pipe.why(day("R", 1)) == ["No task runner of worker group 'penstock:system' has taken it yet."]
    story.take(SYSTEM)
    assert pipe.why(day("R", 1)) == ["Its task runner has not called yet."]
