"""ShellCommandActivity and ShellCommandPrecondition with real commands, staging and storage."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.objects.activities.shell_command_activity import AWS_S3
from penstock.objects.work import WorkFailed, WorkStopped

HINT = " Commands that call `aws s3` cannot reach the embedded storage, which is a folder: use staging instead, or"


def shell(shop: Any, *others: dict[str, Any], **fields: Any) -> str:
    """Run the activity; gives what its command wrote."""
    activity = shop.object({"id": "A", "type": "ShellCommandActivity", **fields}, *others)
    work = shop.work()
    activity.run(work)
    return work.stdout.read_text() if work.stdout.exists() else ""


def node(identity: str, uri: str, key: str = "directoryPath") -> dict[str, str]:
    return {"id": identity, "type": "S3DataNode", key: uri}


def ref(identity: str) -> dict[str, str]:
    return {"ref": identity}


def test_arguments_are_the_commands_parameters(shop: Any) -> None:
    command = 'echo "$#|$1|$2|$3"'
    assert shell(shop, command=command, scriptArgument=["a b", "-n", "$HOME; 'c'"]) == "3|a b|-n|$HOME; 'c'\n"


def test_a_command_runs_in_bash_in_a_folder_of_its_own(shop: Any) -> None:
    assert shell(shop, command='[[ -n "$BASH_VERSION" ]] && ls -A && touch made') == ""
    assert (shop.data_dir / "attempt1" / "made").exists()


def test_a_command_of_many_lines_runs_to_its_end(shop: Any) -> None:
    assert shell(shop, command="x=1\ncat <<END\n$x é\nEND\n") == "1 é\n"


def test_a_command_sees_a_clean_environment(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    assert shell(shop, command='echo "<$AWS_SECRET_ACCESS_KEY>"; test -n "$PATH"') == "<>\n"


@pytest.mark.parametrize(("command", "ending"), [("exit 7", "exit status 7"), ("kill -9 $$", "signal 9")])
def test_a_command_that_fails_says_how_it_ended(shop: Any, command: str, ending: str) -> None:
    with pytest.raises(WorkFailed) as failed:
        shell(shop, command=command)
    assert str(failed.value) == f"The command ended with {ending}."


def test_a_script_without_an_interpreter_runs_in_bash(shop: Any) -> None:
    shop.put("s3://b/x.sh", 'echo "$BASH_VERSION" | head -c1 | grep -q . && echo "$1 $0" | sed s,/.*,,')
    assert shell(shop, scriptUri="s3://b/x.sh", scriptArgument="one") == "one \n"


def test_a_script_with_an_interpreter_runs_in_that(shop: Any) -> None:
    shop.put("s3://b/x.py", "#!/usr/bin/env python3\nimport sys\nprint(sys.argv[1:])\n")
    assert shell(shop, scriptUri="s3://b/x.py", scriptArgument=["a", "b c"]) == "['a', 'b c']\n"


def test_a_script_that_is_missing_is_named(shop: Any) -> None:
    with pytest.raises(Exception, match="s3://b/nothing"):
        shell(shop, scriptUri="s3://b/nothing.sh")


def test_inputs_and_outputs_are_staged_as_folders(shop: Any) -> None:
    shop.put("s3://in/day/a.csv", "1\n")
    shop.put("s3://in/day/sub/b.csv", "2\n")
    shop.put("s3://in/day.csv", "no part of the directory\n")
    shop.put("s3://in/one.txt", "3\n")
    command = """
        cat "$INPUT1_STAGING_DIR/a.csv" "$INPUT1_STAGING_DIR/sub/b.csv" "${INPUT2_STAGING_DIR}/one.txt" > all
        find "$INPUT1_STAGING_DIR" -type f | wc -l | tr -d ' '
        cp all "$OUTPUT1_STAGING_DIR/" && mkdir ${OUTPUT2_STAGING_DIR}/deep && cp all ${OUTPUT2_STAGING_DIR}/deep/.all
    """
    written = shell(
        shop,
        node("I1", "s3://in/day"),
        node("I2", "s3://in/one.txt", "filePath"),
        node("O1", "s3://out/1/"),
        node("O2", "s3://out/2"),
        command=command,
        stage="true",
        input=[ref("I1"), ref("I2")],
        output=[ref("O1"), ref("O2")],
    )
    assert written == "2\n"
    assert shop.uris("s3://out/") == ["s3://out/1/all", "s3://out/2/deep/.all"]
    assert shop.text("s3://out/1/all") == "1\n2\n3\n"


def test_outputs_are_sent_again_over_what_was_there(shop: Any) -> None:
    shop.put("s3://out/x", "old")
    shop.put("s3://out/y", "kept")
    output = node("O", "s3://out/")
    shell(shop, output, command="echo new > $OUTPUT1_STAGING_DIR/x", stage="true", output=ref("O"))
    assert [shop.text("s3://out/x"), shop.text("s3://out/y")] == ["new\n", "kept"]


def test_the_output_of_a_command_that_failed_is_not_sent(shop: Any) -> None:
    output = node("O", "s3://out/")
    with pytest.raises(WorkFailed):
        shell(shop, output, command="echo x > $OUTPUT1_STAGING_DIR/x; false", stage="true", output=ref("O"))
    assert shop.uris("s3://out/") == []


def test_without_stage_nothing_is_brought_or_sent(shop: Any) -> None:
    shop.put("s3://in/a", "1")
    nodes = node("I", "s3://in/"), node("O", "s3://out/f", "filePath")
    written = shell(shop, *nodes, command='echo "<$INPUT1_STAGING_DIR>"; ls', input=ref("I"), output=ref("O"))
    assert written == "<>\n"


def test_an_input_that_is_not_there_fails_before_the_command(shop: Any) -> None:
    with pytest.raises(Exception, match="s3://in/missing"):
        shell(shop, node("I", "s3://in/missing", "filePath"), command="touch ran", stage="true", input=ref("I"))
    assert not (shop.data_dir / "attempt1" / "ran").exists()


def test_a_staged_output_needs_a_directory(shop: Any) -> None:
    with pytest.raises(WorkFailed, match="'O' has a filePath; staged outputs need a directoryPath"):
        shell(shop, node("O", "s3://out/f", "filePath"), command="touch ran", stage="true", output=ref("O"))
    assert not (shop.data_dir / "attempt1" / "ran").exists()


def test_only_files_can_be_staged(shop: Any, sqlite: dict[str, str]) -> None:
    table = {"id": "T", "type": "SqlDataNode", "table": "t", "database": ref("B")}
    with pytest.raises(WorkFailed, match="The input 'T' is a SqlDataNode; only S3DataNodes can be staged"):
        shell(shop, table, sqlite, command="true", stage="true", input=ref("T"))


def test_a_key_that_leads_out_of_its_folder_is_refused(shop: Any) -> None:
    shop.put("s3://in/../../escaped", "x")
    with pytest.raises(WorkFailed, match="leads out of the folder"):
        shell(shop, node("I", "s3://in/"), command="true", stage="true", input=ref("I"))
    assert not (shop.data_dir / "escaped").exists()


def test_keys_that_make_a_file_and_a_folder_of_one_name_are_refused(shop: Any) -> None:
    shop.put("s3://in/a", "x")
    shop.put("s3://in/a/b", "y")
    with pytest.raises(WorkFailed, match="a folder and a file of the same name"):
        shell(shop, node("I", "s3://in/"), command="true", stage="true", input=ref("I"))


def test_marks_of_folders_are_passed_over(shop: Any) -> None:
    shop.put("s3://in/d/", "")
    shop.put("s3://in/d/a/", "")
    shop.put("s3://in/d/a/b", "y")
    written = shell(shop, node("I", "s3://in/d"), command='cat "$INPUT1_STAGING_DIR/a/b"', stage="true", input=ref("I"))
    assert written == "y"


def test_output_is_copied_to_where_stdout_and_stderr_say(shop: Any) -> None:
    path = shop.data_dir / "far" / "err.txt"
    shell(shop, command="echo out; echo err >&2", stdout="s3://logs/out.txt", stderr=str(path))
    assert shop.text("s3://logs/out.txt") == "out\n"
    assert path.read_text() == "err\n"


def test_output_is_copied_when_the_command_fails_too(shop: Any) -> None:
    with pytest.raises(WorkFailed):
        shell(shop, command="echo why >&2; false", stderr="s3a://logs/err.txt")
    assert shop.text("s3://logs/err.txt") == "why\n"


def test_a_stopped_attempt_ends_its_command(shop: Any) -> None:
    shop.stop.set("cancelled")
    with pytest.raises(WorkStopped):
        shell(shop, command="sleep 60")


@pytest.mark.parametrize(
    "command",
    ["aws s3 cp s3://b/x . || exit 1", "false && true; aws --region x s3 ls; exit 2", "aws s3api head-object; exit 3"],
)
def test_a_failed_call_of_aws_s3_is_explained(shop: Any, command: str) -> None:
    with pytest.raises(WorkFailed) as failed:
        shell(shop, command=f"aws() {{ return 1; }}\n{command}")
    assert HINT in str(failed.value)
    assert str(failed.value).startswith("The command ended with exit status ")
    assert "pip install 'penstock[s3]' and [storage] embedded" in str(failed.value)


def test_a_script_that_calls_aws_s3_is_explained_too(shop: Any) -> None:
    shop.put("s3://b/x.sh", "aws() { false; }\naws s3 sync a b\n")
    with pytest.raises(WorkFailed) as failed:
        shell(shop, scriptUri="s3://b/x.sh")
    assert HINT in str(failed.value)


@pytest.mark.parametrize("command", ["echo s3 aws; false", "# aws emr\nls s3://x; false", "aws emr run s3://b/x"])
def test_another_failure_is_not_explained_by_aws_s3(shop: Any, command: str) -> None:
    with pytest.raises(WorkFailed) as failed:
        shell(shop, command=f"aws() {{ return 1; }}\n{command}")
    assert "aws s3" not in str(failed.value)


def test_looking_for_aws_s3_takes_no_time_on_long_commands() -> None:
    assert AWS_S3.search(b"aws --a " * 100_000) is None


def test_a_call_of_aws_s3_that_works_is_nobodys_business(shop: Any) -> None:
    assert shell(shop, command="aws() { echo ok; }; aws s3 ls") == "ok\n"


@pytest.mark.parametrize(("command", "holds"), [("test -n x", True), ("exit 1", False), ("exit 3", False)])
def test_a_precondition_holds_when_its_command_ends_with_0(shop: Any, command: str, holds: bool) -> None:
    precondition = shop.object({"id": "P", "type": "ShellCommandPrecondition", "command": command})
    assert precondition.holds(shop.work()) is holds


def test_a_precondition_runs_a_script_with_arguments(shop: Any) -> None:
    shop.put("s3://b/x.sh", 'echo "$1"; test "$1" = yes')
    fields = {"id": "P", "type": "ShellCommandPrecondition", "scriptUri": "s3://b/x.sh", "stdout": "s3://b/out"}
    assert shop.object({**fields, "scriptArgument": "yes"}).holds(shop.work()) is True
    assert shop.object({**fields, "scriptArgument": "no"}).holds(shop.work()) is False
    assert shop.text("s3://b/out") == "no\n"
