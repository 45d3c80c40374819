"""Periods as fields give them."""

from __future__ import annotations

import pytest

from penstock.definition.conversion import convert_text
from penstock.definition.period import Period
from penstock.definition.slots import slots_of
from penstock.objects.resources.ec2_resource import Ec2Resource
from penstock.objects.resources.emr_cluster import EmrCluster


@pytest.mark.parametrize("cls", [Ec2Resource, EmrCluster])
def test_terminate_after_as_a_number_alone_is_hours(cls: type[Ec2Resource | EmrCluster]) -> None:
    slot = slots_of(cls)["terminateAfter"]
    assert convert_text(slot, " 2 ") == Period(2, "hour")
    assert convert_text(slot, "50 minutes") == Period(50, "minute")


@pytest.mark.parametrize("name", ["initTimeout", "attemptTimeout", "reportProgressTimeout"])
def test_other_periods_need_a_unit(name: str) -> None:
    with pytest.raises(ValueError, match="a number and a unit"):
        convert_text(slots_of(EmrCluster)[name], "2")
