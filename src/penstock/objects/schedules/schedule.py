"""Schedule."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from penstock.definition.model import PipelineObject
from penstock.definition.period import Period, parse_date_time
from penstock.definition.problems import Problem, shown
from penstock.definition.slots import slot
from penstock.objects.families import ScheduleFamily

ONDEMAND_PERIOD = "ONDEMAND_PERIOD"


class Schedule(ScheduleFamily):
    """When objects run: from a start, once a period, until an end or for a number of times."""

    icon = "clock"

    period: str = slot("How often: `15 minutes`, `1 day`, `3 months`; ONDEMAND_PERIOD for on-demand pipelines.")
    start_date_time: str | None = slot("When the first interval starts, in UTC.", one_of="start", at_most_one=True)
    start_at: Literal["FIRST_ACTIVATION_DATE_TIME", "ONDEMAND_ACTIVATION_TIME"] | None = slot(
        "The first interval starts when the pipeline is first activated.", one_of="start", at_most_one=True
    )
    end_date_time: str | None = slot("No interval starts here or later.")
    occurrences: int | None = slot("How many intervals there are.")

    @classmethod
    def check(cls, obj: PipelineObject) -> list[Problem]:
        """The period, the dates and their order."""
        problems: list[Problem] = []
        period = obj.text("period")
        if period is not None and "#{" not in period and period.upper() != ONDEMAND_PERIOD:
            try:
                parsed = Period.parse(period)
                if parsed.length() <= timedelta(0):
                    raise ValueError("a period is longer than nothing")
                if parsed.length() > timedelta(days=3 * 366):
                    raise ValueError("a period is three years at most")
            except (ValueError, OverflowError) as error:
                problems.append(Problem(obj.id, "period", f"The period {shown(period)} is wrong:", f"{error}.", period))
        dates = {}
        for key in ("startDateTime", "endDateTime"):
            text = obj.text(key)
            if text is None or "#{" in text:
                continue
            try:
                dates[key] = parse_date_time(text)
            except ValueError as error:
                problems.append(Problem(obj.id, key, f"'{key}' is {shown(text)}:", f"{error}.", text))
        if len(dates) == 2 and dates["endDateTime"] <= dates["startDateTime"]:
            end, start = obj.text("endDateTime") or "", obj.text("startDateTime") or ""
            problems.append(
                Problem(
                    obj.id,
                    "endDateTime",
                    f"The end {shown(end)} is not after the start {shown(start)}.",
                    "",
                    end,
                )
            )
        occurrences = obj.text("occurrences")
        if occurrences is not None:
            if "endDateTime" in obj.fields:
                problems.append(
                    Problem(
                        obj.id,
                        "occurrences",
                        "'occurrences' and 'endDateTime' exclude each other.",
                        "Remove one.",
                    )
                )
            if occurrences.isdecimal() and int(occurrences) < 1:
                problems.append(
                    Problem(obj.id, "occurrences", f"'occurrences' is {shown(occurrences)}.", "At least 1.")
                )
        return problems
