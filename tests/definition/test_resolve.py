"""What objects inherit, and what their expressions become before there is a run and when there is one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.definition.file_form import definition_of
from penstock.definition.model import Ref
from penstock.definition.resolve import Resolved, resolve
from penstock.definition.scope import Entry
from penstock.expressions import ExpressionError, NotYet, UnknownName

PARAMETERS = [{"id": "myEnv", "default": "dev"}, {"id": "myOptional", "optional": "true"}, {"id": "myMissing"}]
START = datetime(2013, 1, 5, tzinfo=UTC)


def resolved(*objects: dict[str, Any], values: dict[str, Any] | None = None, **given: str) -> Resolved:
    document = {"objects": list(objects), "parameters": PARAMETERS, "values": values or {}}
    made, _ = resolve(definition_of(document), {key: (value,) for key, value in given.items()})
    return made


def field(*objects: dict[str, Any], key: str = "x", **more: Any) -> tuple[object, ...] | None:
    """The field of the first object, evaluated as far as it can be."""
    return resolved(*objects, **more).objects[objects[0]["id"]].fields.get(key)


def ref(identity: str) -> dict[str, str]:
    return {"ref": identity}


def test_an_objects_own_field_comes_before_its_parents() -> None:
    assert field({"id": "A", "x": "own", "parent": ref("P")}, {"id": "P", "x": "parent"}) == ("own",)


def test_the_nearest_parent_comes_first() -> None:
    chain = [{"id": "A", "parent": ref("P")}, {"id": "P", "x": "near", "parent": ref("Q")}, {"id": "Q", "x": "far"}]
    assert field(*chain) == ("near",)


def test_a_parent_of_a_parent_is_inherited_from() -> None:
    chain = [{"id": "A", "parent": ref("P")}, {"id": "P", "parent": ref("Q")}, {"id": "Q", "x": "far"}]
    assert field(*chain) == ("far",)


def test_default_is_inherited_from_without_a_parent() -> None:
    assert field({"id": "A"}, {"id": "Default", "x": "default"}) == ("default",)


def test_a_parent_without_parent_inherits_from_default() -> None:
    assert field({"id": "A", "parent": ref("P")}, {"id": "P"}, {"id": "Default", "x": "default"}) == ("default",)


def test_a_parent_hides_default_only_where_it_has_the_field() -> None:
    objects = [{"id": "A", "parent": ref("P")}, {"id": "P", "x": "parent"}, {"id": "Default", "x": "d", "y": "d"}]
    assert field(*objects) == ("parent",)
    assert field(*objects, key="y") == ("d",)


def test_a_list_is_inherited_whole() -> None:
    assert field({"id": "A", "x": "1", "parent": ref("P")}, {"id": "P", "x": ["2", "3"]}) == ("1",)
    assert field({"id": "A", "parent": ref("P")}, {"id": "P", "x": ["2", "3"]}) == ("2", "3")


def test_the_type_of_default_is_not_inherited() -> None:
    assert field({"id": "A"}, {"id": "Default", "type": "Default"}, key="type") is None


def test_the_type_of_a_parent_is() -> None:
    objects = {"id": "A", "parent": ref("P")}, {"id": "P", "type": "CSV"}
    assert field(*objects, key="type") == ("CSV",)


def test_a_circle_of_parents_ends() -> None:
    objects = {"id": "A", "parent": ref("P")}, {"id": "P", "x": "1", "parent": ref("A")}
    assert field(*objects) == ("1",)


def test_an_inherited_expression_reads_the_fields_of_the_child() -> None:
    objects = {"id": "A", "_n": "child", "parent": ref("P")}, {"id": "P", "x": "#{_n}", "_n": "parent"}
    assert field(*objects) == ("child",)


def test_user_fields_of_default_are_constants_for_all() -> None:
    default = {"id": "Default", "_bucket": "s3://b-#{myEnv}", "myTable": "t"}
    assert field({"id": "A", "x": "#{_bucket}/#{myTable}"}, default) == ("s3://b-dev/t",)


def test_user_fields_of_default_are_seen_beside_a_parent() -> None:
    objects = {"id": "A", "x": "#{_b}", "parent": ref("P")}, {"id": "P"}, {"id": "Default", "_b": "1"}
    assert field(*objects) == ("1",)


def test_user_fields_are_read_through_user_fields() -> None:
    assert field({"id": "A", "x": "#{_a}!", "_a": "#{_b}#{_b}", "_b": "#{_c}", "_c": "z"}) == ("zz!",)


@pytest.mark.parametrize(
    ("given", "values", "result"),
    [({}, {}, "dev"), ({}, {"myEnv": "test"}, "test"), ({"myEnv": "prod"}, {"myEnv": "test"}, "prod")],
)
def test_a_given_value_wins_over_the_definitions_and_that_over_the_default(
    given: dict[str, str], values: dict[str, str], result: str
) -> None:
    assert field({"id": "A", "x": "#{myEnv}"}, values=values, **given) == (result,)


def test_a_field_hides_a_parameter_of_the_same_name() -> None:
    assert field({"id": "A", "x": "#{myEnv}", "myEnv": "own"}) == ("own",)


def test_a_value_without_a_parameter_can_be_read() -> None:
    assert field({"id": "A", "x": "#{myOther}"}, values={"myOther": "1"}) == ("1",)


def test_an_array_makes_several_values() -> None:
    array = {"myList": ["a", "b"]}
    assert field({"id": "A", "x": "#{myList}"}, values=array) == ("a", "b")
    assert field({"id": "A", "x": ["0", "#{myList}", "z"]}, values=array) == ("0", "a", "b", "z")
    assert field({"id": "A", "x": "s3://#{myList}/"}, values=array) == ("s3://a/", "s3://b/")


def test_a_field_that_holds_only_an_optional_parameter_without_a_value_is_dropped() -> None:
    assert field({"id": "A", "x": "#{myOptional}"}) is None
    assert field({"id": "A", "x": "#{_o}", "_o": "#{myOptional}"}) is None
    assert field({"id": "A"}, {"id": "Default", "x": "#{myOptional}"}) is None


def test_a_dropped_field_hides_what_would_be_inherited() -> None:
    assert field({"id": "A", "x": "#{myOptional}"}, {"id": "Default", "x": "d"}) is None


def test_of_a_list_only_the_value_that_is_an_unset_parameter_is_dropped() -> None:
    assert field({"id": "A", "x": ["1", "#{myOptional}", "3"]}) == ("1", "3")


def test_an_optional_parameter_without_a_value_is_empty_inside_a_text() -> None:
    assert field({"id": "A", "x": "run #{myOptional}#{myEnv}"}) == ("run dev",)
    assert field({"id": "A", "x": "run #{_o}.", "_o": "#{myOptional}"}) == ("run .",)


def test_an_optional_parameter_with_a_value_is_kept() -> None:
    assert field({"id": "A", "x": "#{myOptional}"}, myOptional="1") == ("1",)


def test_a_parameter_that_still_needs_its_value_leaves_the_field_as_written() -> None:
    assert field({"id": "A", "x": "a #{myMissing} #{myEnv}"}) == ("a #{myMissing} #{myEnv}",)


def test_parameters_stand_in_fields_that_make_the_schedule() -> None:
    schedule = {
        "id": "S",
        "type": "Schedule",
        "period": "#{myN} #{myUnit}",
        "startDateTime": "#{myDay}T00:00:00",
        "occurrences": "#{myN + 1}",
    }
    values = {"myN": "2", "myUnit": "days", "myDay": "2013-01-01"}
    made = resolved(schedule, values=values).objects["S"]
    assert made.text("period") == "2 days"
    assert made.text("startDateTime") == "2013-01-01T00:00:00"


def test_parameters_decide_whether_a_pipeline_is_on_demand() -> None:
    objects = {"id": "Default", "scheduleType": "#{myEnv}"}, {"id": "A", "type": "CopyActivity"}
    assert resolved(*objects, myEnv="ONDEMAND").is_on_demand
    assert not resolved(*objects, myEnv="cron").is_on_demand
    undecided = resolved({"id": "Default", "scheduleType": "#{myMissing}"})
    assert undecided.may_be_on_demand
    assert not undecided.is_on_demand


def test_parameters_are_filled_into_names() -> None:
    assert resolved({"id": "A", "name": "#{myEnv}-load"}).objects["A"].name == "dev-load"


@pytest.mark.parametrize("name", ["at #{@scheduledStartTime}", "#{_x}", "#{nope}", "#{"])
def test_nothing_else_is_evaluated_in_names(name: str) -> None:
    assert resolved({"id": "A", "name": name, "_x": "1"}).objects["A"].name == name


def test_parameters_are_filled_into_references() -> None:
    assert field({"id": "A", "x": ref("In-#{myEnv}")}) == (Ref("In-dev"),)
    several = {"myAfter": ["B", "C"]}
    assert field({"id": "A", "x": [ref("#{myAfter}"), ref("D")]}, values=several) == (Ref("B"), Ref("C"), Ref("D"))
    assert field({"id": "A", "x": ref("#{myOptional}")}) is None
    assert field({"id": "A", "x": ref("#{myMissing}")}) == (Ref("#{myMissing}"),)


def test_a_parent_can_be_chosen_by_a_parameter() -> None:
    objects = {"id": "A", "parent": ref("#{myEnv}")}, {"id": "dev", "x": "small"}, {"id": "prod", "x": "large"}
    assert field(*objects) == ("small",)
    assert field(*objects, myEnv="prod") == ("large",)


def test_ids_and_types_are_never_evaluated() -> None:
    assert field({"id": "#{myEnv}", "type": "#{myEnv}"}, key="type") == ("#{myEnv}",)


def test_fields_are_read_through_references() -> None:
    node = {"id": "N", "directoryPath": "s3://#{_b}", "_b": "b"}
    assert field({"id": "A", "x": "#{input.directoryPath}/1", "input": ref("N")}, node) == ("s3://b/1",)


def test_several_references_give_several_values() -> None:
    nodes = {"id": "N", "_p": "1"}, {"id": "M", "_p": "2"}
    assert field({"id": "A", "x": "#{input._p}", "input": [ref("N"), ref("M")]}, *nodes) == ("1", "2")


def test_the_parent_of_a_component_is_its_parent_and_of_an_instance_its_component() -> None:
    made = resolved({"id": "A", "x": "#{parent.@id}", "parent": ref("P")}, {"id": "P"})
    assert made.objects["A"].text("x") == "P"
    scope = made.scope(entries={"@A_1": Entry("A")})
    assert scope.evaluate("@A_1", "#{parent.@id}") == "A"
    assert scope.evaluate("@A_1", "#{parent.parent.@id}") == "P"


def test_what_only_a_run_knows_stays_as_written() -> None:
    text = "#{format(@scheduledStartTime,'YYYY')}-#{myEnv}"
    assert field({"id": "A", "x": text}) == (text,)


def test_an_expression_is_wrong_only_if_no_time_makes_it_right() -> None:
    _, found = resolve(definition_of({"objects": [{"id": "A", "x": "#{100 / minute(@scheduledStartTime)}"}]}))
    assert found == []
    _, found = resolve(definition_of({"objects": [{"id": "A", "x": "#{1 / (minute(@scheduledStartTime) * 0)}"}]}))
    assert "divides by zero" in found[0].problem.text


def test_a_run_fills_in_its_times_and_the_instances_it_is_linked_with() -> None:
    made = resolved(
        {"id": "A", "x": "#{format(@scheduledStartTime,'YYYY-MM-dd')} #{input.path} #{input.@id}", "input": ref("N")},
        {"id": "N", "path": "p/#{@scheduledStartTime.format('dd')}"},
    )
    entries = {
        "@A_1": Entry("A", {"@scheduledStartTime": START}, {"input": ("@N_1",)}),
        "@N_1": Entry("N", {"@scheduledStartTime": START}),
    }
    assert made.scope(entries=entries).evaluate("@A_1", made.inherited["A"].text("x") or "") == "2013-01-05 p/05 @N_1"


def test_node_is_the_object_that_refers_to_an_action_with_all_that_it_inherits() -> None:
    made = resolved({"id": "Al"}, {"id": "A", "name": "Load"}, {"id": "Default", "pipelineLogUri": "s3://l"})
    entries = {"@A_1": Entry("A", {"@status": "FAILED", "errorMessage": "no"}), "Al": Entry("Al", node="@A_1")}
    scope = made.scope(entries=entries)
    assert scope.evaluate("Al", "#{node.name} #{node.@status} #{node.errorMessage} #{node.pipelineLogUri}") == (
        "Load FAILED no s3://l"
    )


def test_without_a_node_its_fields_are_not_known_yet() -> None:
    with pytest.raises(NotYet, match="node"):
        resolved({"id": "Al"}).scope().evaluate("Al", "#{node.name}")


def test_an_alarm_says_something_where_a_value_is_missing() -> None:
    scope = resolved({"id": "Al"}).scope(entries={"Al": Entry("Al")}, missing="(unknown)")
    assert scope.evaluate("Al", "#{errorMessage} #{@x}") == "(unknown) (unknown)"


def test_fields_that_need_each_other_are_named_in_full() -> None:
    with pytest.raises(ExpressionError) as wrong:
        resolved({"id": "A", "_a": "#{_b}", "_b": "#{_c}", "_c": "#{_a}"}).scope().evaluate("A", "#{_a}")
    assert isinstance(wrong.value.__cause__, UnknownName)
    assert wrong.value.__cause__.circle == "_a → _b → _c → _a"  # type: ignore[attr-defined]


def test_fields_of_two_objects_may_need_each_other_in_a_circle_too() -> None:
    made = resolved({"id": "A", "_a": "#{b._b}", "b": ref("B")}, {"id": "B", "_b": "#{a._a}", "a": ref("A")})
    with pytest.raises(ExpressionError):
        made.scope().evaluate("A", "#{_a}")


def test_secrets_are_seen_only_by_whoever_may_reveal_them() -> None:
    document = {
        "objects": [{"id": "A", "*password": "#{*myPw}", "*_own": "sealed-own", "x": "#{*_own} #{*myPw}"}],
        "parameters": [{"id": "*myPw"}],
        "values": {"*myPw": "sealed"},
    }
    made, _ = resolve(definition_of(document))
    assert made.objects["A"].text("x") == "#{*_own} #{*myPw}"
    for text in ("#{*myPw}", "#{*_own}"):
        with pytest.raises(NotYet):
            made.scope().evaluate("A", text)
    opened = {"sealed": "clear", "sealed-own": "clear too", "#{*myPw}": "#{*myPw}"}
    scope = made.scope(reveal=opened.__getitem__)
    assert scope.evaluate("A", "#{*_own} #{*myPw}") == "clear too clear"
    assert scope.evaluate_field("A", "*password", made.inherited["A"].fields["*password"]) == ("clear",)
    assert {"clear", "clear too"} <= scope.revealed


def test_an_optional_secret_without_a_value_drops_its_field_too() -> None:
    document = {"objects": [{"id": "A", "*password": "#{*myPw}"}], "parameters": [{"id": "*myPw", "optional": "true"}]}
    made, _ = resolve(definition_of(document))
    assert "*password" not in made.objects["A"].fields


def test_the_owner_of_a_field_is_the_object_that_it_is_written_in() -> None:
    made = resolved({"id": "A", "x": "1", "parent": ref("P")}, {"id": "P", "y": "1"}, {"id": "Default", "z": "1"})
    assert [made.owner("A", key) for key in ("x", "y", "z", "nothing")] == ["A", "P", "Default", "A"]


def test_reading_every_field_twice_takes_no_time() -> None:
    fields = {f"_{n}": f"#{{_{n + 1}}}" + f"#{{_{n + 1}}}"[: 20 if n < 12 else 0] for n in range(30)}
    made = resolved({"id": "A", "x": "#{_0}", **fields, "_30": "z"})
    assert made.objects["A"].text("x") == "z" * 2**12
