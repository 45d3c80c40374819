"""Types that validate but cannot run yet: a warning for each object, and the errors that activation is refused with."""

from __future__ import annotations

from penstock.definition.file_form import definition_of
from penstock.definition.slots import Catalogue
from penstock.definition.validate import Verdict, unbuilt, validate
from penstock.objects import load_catalogue
from penstock.objects.families import Action


class Page(Action):
    """Calls somebody."""

    is_built = False


CATALOGUE = Catalogue({**load_catalogue().types, "Page": Page})
DEFAULT = {"id": "Default", "scheduleType": "ondemand", "workerGroup": "g"}
PARENT = {"id": "P", "type": "Page"}
CHILD = {"id": "C", "parent": {"ref": "P"}}
RUNS = {"id": "A", "type": "ShellCommandActivity", "command": "true", "onFail": {"ref": "C"}}


def verdict(*objects: dict[str, object], catalogue: Catalogue = CATALOGUE) -> Verdict:
    return validate(definition_of({"objects": [DEFAULT, *objects]}), catalogue)


def test_each_object_of_such_a_type_has_a_warning_and_no_error() -> None:
    found = verdict(PARENT, CHILD, RUNS)
    assert found.errors == ()
    text = "Page validates, but Penstock cannot run it yet: activation is refused."
    assert [p.object_id for p in found.warnings if p.text == text] == ["P", "C"]


def test_what_refuses_activation_names_every_object_its_type_and_what_runs_instead() -> None:
    found = unbuilt(verdict(PARENT, CHILD, RUNS).resolved, CATALOGUE)
    assert [(p.object_id, p.field, p.value, p.is_warning) for p in found] == [
        ("P", "type", "Page", False),
        ("C", "type", "Page", False),
    ]
    assert {p.text for p in found} == {
        "Page cannot run in Penstock yet. Action types that can run: SnsAlarm, Terminate.",
    }


def test_a_definition_of_types_that_run_is_not_refused() -> None:
    assert unbuilt(verdict({**RUNS, "onFail": {"ref": "S"}}).resolved, CATALOGUE) == ()


def test_a_family_of_which_nothing_runs_is_told_so() -> None:
    catalogue = Catalogue({"Page": Page})
    (problem,) = unbuilt(verdict(PARENT, catalogue=catalogue).resolved, catalogue)
    assert problem.text == "Page cannot run in Penstock yet."


def test_what_a_run_does_not_need_may_be_of_such_a_type() -> None:
    config = {"id": "K", "type": "EmrConfiguration", "classification": "core-site"}
    cluster = {"id": "R", "type": "EmrCluster", "configuration": {"ref": "K"}}
    shell = {"id": "A", "type": "ShellCommandActivity", "command": "true", "runsOn": {"ref": "R"}}
    assert unbuilt(verdict(config, cluster, shell).resolved, CATALOGUE) == ()
