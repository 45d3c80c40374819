"""Schedule."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from penstock.definition.model import PipelineObject
from penstock.definition.period import Period, parse_date_time
from penstock.definition.problems import Problem, shown
from penstock.definition.slots import slot
from penstock.objects.families import ScheduleFamily, least

ONDEMAND_PERIOD = "ONDEMAND_PERIOD"
LONGEST_PERIOD = timedelta(days=3 * 366)


class Schedule(ScheduleFamily):
    """When objects run: from a start, once a period, until an end or for a number of times."""

    icon = "clock"

    period: str = slot("How often: `15 minutes`, `1 day`, `3 months`; ONDEMAND_PERIOD for on-demand pipelines.")
    start_date_time: datetime | None = slot("When the first interval starts, in UTC.", one_of="start", at_most_one=True)
    start_at: Literal["FIRST_ACTIVATION_DATE_TIME", "ONDEMAND_ACTIVATION_TIME"] | None = slot(
        "The first interval starts when the pipeline is first activated.", one_of="start", at_most_one=True
    )
    end_date_time: datetime | None = slot("No interval starts here or later.")
    occurrences: int | None = slot("How many intervals there are.")
    max_active_instances: int | None = slot(
        "How many instances may be active at once.", unlisted="Set it on Default or on the objects that run."
    )

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """The length of the period, the order of the dates, and one end only."""
        problems: list[Problem] = []
        period = obj.text("period")
        if period is not None and "#{" not in period and period.strip().upper() != ONDEMAND_PERIOD:
            try:
                length = Period.parse(period).length()
                if length <= timedelta(0):
                    raise ValueError("a period is longer than nothing")
                if length > LONGEST_PERIOD:
                    raise ValueError("a period is three years at most")
            except ValueError as error:
                problems.append(Problem(obj.id, "period", f"The period {shown(period)} is wrong:", f"{error}.", period))
        start, end = obj.text("startDateTime") or "", obj.text("endDateTime") or ""
        if _is_before(end, start):
            message = f"The end {shown(end)} is not after the start {shown(start)}."
            problems.append(Problem(obj.id, "endDateTime", message, "Give a later end.", end))
        occurrences = obj.text("occurrences")
        if occurrences is not None and "endDateTime" in obj.fields:
            message = "'occurrences' and 'endDateTime' exclude each other."
            problems.append(Problem(obj.id, "occurrences", message, "Remove one.", occurrences))
        return problems + least(obj, "occurrences", 1)


def _is_before(end: str, start: str) -> bool:
    """Whether both are dates and the end is no later; what is no date is a problem of its slot."""
    try:
        return parse_date_time(end) <= parse_date_time(start)
    except ValueError:
        return False
