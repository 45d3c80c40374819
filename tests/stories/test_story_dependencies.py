"""What waits for what: inputs, outputs and dependsOn, on one schedule and across schedules."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from story import Story, activity, data_node, day, exists, ref, refs, schedule, scheduled

NewStory = Callable[..., Story]
WEEKLY = schedule("Weekly", "1 week")
HOURLY = schedule("Hourly", "1 hour")


def test_an_activity_waits_for_what_it_depends_on(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(activity("A"), activity("B", dependsOn=ref("A")), activity("C", dependsOn=ref("B")))
    )
    assert list(pipe.statuses().values()) == ["WAITING_FOR_RUNNER", *["WAITING_ON_DEPENDENCIES"] * 2]
    assert pipe.why(day("B", 1)) == [f"{day('A', 1)} is WAITING_FOR_RUNNER."]
    assert pipe.fields(day("B", 1))["@waitingOn"] == [day("A", 1)]
    assert story.work() == [day("A", 1), day("B", 1), day("C", 1)]


def test_a_data_node_waits_for_its_writer_and_its_reader_waits_for_it(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(data_node("D"), activity("Write", output=ref("D")), activity("Read", input=ref("D")))
    )
    assert pipe.status(day("D", 1)) == "WAITING_ON_DEPENDENCIES"
    assert story.work() == [day("Write", 1), day("Read", 1)]
    assert pipe.status(day("D", 1)) == "FINISHED"


def test_a_data_node_waits_for_its_preconditions(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(data_node("D", precondition=ref("P")), exists("P"), activity("Read", input=ref("D")))
    )
    assert pipe.why(day("D", 1)) == [f"{day('P', 1)} is WAITING_FOR_RUNNER."]
    assert story.work() == [day("P", 1), day("Read", 1)]


def test_a_weekly_consumer_waits_for_its_seven_daily_producers(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(WEEKLY, activity("A"), activity("B", schedule=ref("Weekly"), dependsOn=ref("A")), kind="timeseries")
    )
    story.until("2024-01-08T00:00:00")
    first_week = [day("A", number) for number in range(1, 8)]
    assert pipe.fields(day("B", 1))["@waitingOn"] == first_week[:]
    assert pipe.why(day("B", 1))[-2:] == [
        f"{day('A', 6)} has not been made yet.",
        f"{day('A', 7)} has not been made yet.",
    ]
    assert story.work() == [*first_week, day("B", 1)]
    story.until("2024-01-15T00:00:00")
    assert story.work()[-1] == day("B", 8)


def test_a_weekly_consumer_may_be_there_before_its_producers(story: Story) -> None:
    pipe = story.pipeline(scheduled(WEEKLY, activity("A"), activity("B", schedule=ref("Weekly"), dependsOn=ref("A"))))
    story.work()
    assert pipe.status(day("B", 1)) == "WAITING_ON_DEPENDENCIES"
    for number in range(2, 7):
        story.until(f"2024-01-0{number}T00:00:00")
        assert story.work() == [day("A", number)]
    story.until("2024-01-07T00:00:00")
    assert story.work() == [day("A", 7), day("B", 1)]


def test_a_daily_consumer_waits_for_the_week_that_it_lies_in(story: Story) -> None:
    pipe = story.pipeline(scheduled(WEEKLY, activity("A", schedule=ref("Weekly")), activity("B", dependsOn=ref("A"))))
    story.until("2024-01-03T00:00:00")
    assert pipe.why(day("B", 3)) == [f"{day('A', 1)} is WAITING_FOR_RUNNER."]
    assert story.work() == [day("A", 1), day("B", 1), day("B", 2), day("B", 3)]
    story.until("2024-01-08T00:00:00")
    assert pipe.why(day("B", 8)) == [f"{day('A', 8)} is WAITING_FOR_RUNNER."]


def test_a_daily_activity_waits_for_every_hour_of_its_input(story: Story) -> None:
    pipe = story.pipeline(
        scheduled(
            HOURLY,
            data_node("D", schedule=ref("Hourly"), maxActiveInstances="30", precondition=ref("P")),
            exists("P"),
            activity("A", input=ref("D")),
            kind="timeseries",
        )
    )
    story.until("2024-01-02T00:00:00")
    hours = [day("D", 1, hour) for hour in range(24)]
    assert pipe.fields(day("A", 1))["@waitingOn"] == hours
    assert story.work() == [*[day("P", 1, hour) for hour in range(24)], day("A", 1)]


def test_before_the_first_interval_and_after_the_last_there_is_nothing_to_wait_for(story: Story) -> None:
    later = schedule("Later", "1 day", startDateTime="2024-01-02T00:00:00", endDateTime="2024-01-03T00:00:00")
    story.pipeline(scheduled(later, activity("A", schedule=ref("Later")), activity("B", dependsOn=ref("A"))))
    assert story.work() == [day("B", 1)]
    story.until("2024-01-03T00:00:00")
    assert story.work() == [day("A", 2), day("B", 2), day("B", 3)]


def test_skipped_intervals_count_as_done(new_story: NewStory) -> None:
    story = new_story("2024-01-03T12:00:00")
    pipe = story.pipeline(
        scheduled(WEEKLY, activity("A", schedule=ref("Weekly")), activity("B", dependsOn=ref("A"))),
        start="2024-01-03T00:00:00",
    )
    assert pipe.status(day("A", 1)) == "SKIPPED"
    assert story.work() == [day("B", 3)]


def test_a_consumer_that_waits_goes_on_when_its_producers_are_skipped(story: Story) -> None:
    pipe = story.pipeline(scheduled(WEEKLY, activity("A"), activity("B", schedule=ref("Weekly"), dependsOn=ref("A"))))
    story.work()
    assert len(pipe.fields(day("B", 1))["@waitingOn"]) == 6
    pipe.activate("2024-01-08T00:00:00")
    story.until("2024-01-07T00:00:00")
    assert story.work() == [day("B", 1)]


def test_many_producers_of_one_consumer_each_wake_it_once(story: Story) -> None:
    names = [f"A{number}" for number in range(20)]
    pipe = story.pipeline(scheduled(*[activity(name) for name in names], activity("B", dependsOn=refs(*names))))
    assert len(story.work()) == 21
    assert pipe.moves(day("B", 1)) == ["WAITING_FOR_RUNNER", "RUNNING", "FINISHED"]


def test_a_skipped_instance_that_is_run_after_all_waits_like_any_other(new_story: NewStory) -> None:
    story = new_story("2024-01-03T12:00:00")
    definition = scheduled(exists("P"), activity("A"), activity("B", dependsOn=ref("A"), precondition=ref("P")))
    pipe = story.pipeline(definition, start="2024-01-03T00:00:00")
    story.work()
    pipe.set_status("RERUN", day("A", 1))
    pipe.set_status("RERUN", day("B", 1))
    assert pipe.status(day("B", 1)) == "WAITING_ON_DEPENDENCIES"
    assert story.work() == [day("A", 1), day("P", 1), day("B", 1)]


@pytest.mark.parametrize("store", ["sqlite"], indirect=True)
def test_the_work_for_a_task_does_not_grow_with_the_history(
    new_story: NewStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = new_story("2024-12-01T00:00:00")
    story.pipeline(
        scheduled(activity("A"), activity("B", dependsOn=ref("A")), schedule("Daily", "1 hour")),
        start="2024-01-01T00:00:00",
    )
    statements: list[str] = []

    def queries_of_a_round() -> int:
        del statements[:]
        for _ in range(2):
            task = story.poll()
            assert task is not None
            story.end(task)
        return len(statements)

    original = story.store.transaction

    class Counting:
        def __enter__(self) -> object:
            self.inner = original()
            tx = self.inner.__enter__()
            for name in ("one", "all", "execute"):
                self._count(tx, name)
            return tx

        def _count(self, tx: object, name: str) -> None:
            function = getattr(tx, name)

            def counted(query: str, **parameters: object) -> object:
                statements.append(query)
                return function(query, **parameters)

            setattr(tx, name, counted)

        def __exit__(self, *error: object) -> object:
            return self.inner.__exit__(*error)  # type: ignore[arg-type]

    monkeypatch.setattr(story.store, "transaction", Counting)
    for _ in range(4):
        queries_of_a_round()
    early = queries_of_a_round()
    for _ in range(100):
        queries_of_a_round()
    assert abs(queries_of_a_round() - early) <= 4
