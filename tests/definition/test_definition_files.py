"""Definition files that cannot even be read: what is said of each, with the place and the remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock.definition.file_form import LARGEST_FILE, parse_json, read_definition_file, values_of
from penstock.definition.problems import DefinitionRefused

GOOD = b'{"objects": [{"id": "A", "type": "CSV"}]}'


def refusal(path: Path) -> str:
    with pytest.raises(DefinitionRefused) as refused:
        read_definition_file(path)
    (problem,) = refused.value.problems
    assert str(path) in problem.text
    return problem.text.replace(str(path), "FILE")


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "pipeline.json"
    path.write_bytes(content)
    return path


def test_a_good_file_is_read(tmp_path: Path) -> None:
    assert list(read_definition_file(written(tmp_path, GOOD)).objects) == ["A"]


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    assert list(read_definition_file(written(tmp_path, b"\xef\xbb\xbf" + GOOD)).objects) == ["A"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"objects": [\n{"id": "caf\xe9"}]}', "FILE is not UTF-8: byte 0xe9 in line 2. Save the file as UTF-8."),
        ('{"objects": []}'.encode("utf-16"), "FILE is not UTF-8: byte 0xff in line 1. Save the file as UTF-8."),
        (b"", 'FILE is empty. A definition is a JSON object with a list "objects".'),
        (b" \r\n\t", 'FILE is empty. A definition is a JSON object with a list "objects".'),
        (b'{"objects": [],\r\n}', "FILE, line 2, column 1: a comma before the closing }. Remove the comma."),
        (b'{"command": "echo "hi""}', "FILE, line 1, column 20: neither a comma nor a closing bracket. "),
        (b"\x00\x01\x02", "FILE, line 1, column 1: expecting value."),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(tmp_path: Path, content: bytes, text: str) -> None:
    assert refusal(written(tmp_path, content)).startswith(text)


def test_a_file_of_50_megabytes_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.json"
    with path.open("wb") as file:
        file.truncate(50 * 1024 * 1024)
    assert refusal(path) == f"FILE is 52,428,800 bytes long. A definition may be {LARGEST_FILE:,} bytes at most."


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file here")
def test_an_endless_file_is_refused() -> None:
    assert "more than 20,971,520 bytes" in refusal(Path("/dev/zero"))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    text = refusal(tmp_path / "nothing.json")
    assert text == "FILE cannot be read: No such file or directory. Give the path of a definition file."


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "FILE cannot be read: Is a directory. Give the path of a definition file."


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    path.chmod(0)
    if os.geteuid() != 0:
        assert refusal(path) == "FILE cannot be read: Permission denied. Give the path of a definition file."
        return
    tmp_path.chmod(0o755)
    child = os.fork()
    if child == 0:  # root may read everything: somebody else must try
        status = 1
        try:
            os.chdir("/")
            os.setgid(65534)
            os.setuid(65534)
            try:
                read_definition_file(path)
            except DefinitionRefused as refused:
                status = 0 if "Permission denied" in str(refused) else 2
        finally:
            os._exit(status)
    _, ended = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(ended) == 0


def test_a_file_of_values_may_have_them_under_values_or_by_themselves() -> None:
    wanted = {"myA": ("1",), "myB": ("x", "true"), "myC": ("2.5",)}
    inner = {"myA": 1, "myB": ["x", True], "myC": 2.5}
    assert values_of(inner, "file") == wanted
    assert values_of({"values": inner}, "file") == wanted


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], '"values" is a list.'),
        ({"values": "x"}, '"values" is a string.'),
        ({"myA": None}, "The value of 'myA' is null."),
        ({"myA": {"b": "c"}}, "The value of 'myA' is a JSON object."),
    ],
)
def test_values_of_another_shape_are_refused(document: object, text: str) -> None:
    with pytest.raises(DefinitionRefused) as refused:
        values_of(document, "file.json")
    assert f"file.json: {text}" in str(refused.value)


@pytest.mark.parametrize("text", ['"\\ud83d\\ude00"', '"\\\\ud800"', '"\\u00e9"', '"\\\\\\\\ud800"'])
def test_pairs_of_surrogates_and_escaped_backslashes_are_characters(text: str) -> None:
    parse_json(text, "file").encode()


@pytest.mark.parametrize("text", ['"\\ud83d"', '"\\ude00"', '"\\ud83d x \\ude00"', '"\\ude00\\ud83d"', '"\\\\\\ud83d"'])
def test_half_of_a_pair_is_refused(text: str) -> None:
    with pytest.raises(DefinitionRefused, match="half a character"):
        parse_json(text, "file")
