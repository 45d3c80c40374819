"""A new activity type is one file in a package with an entry point: nothing else is edited, and everything knows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.definition.slots import slots_of
from penstock.objects import load_catalogue

ACTIVITY = '''"""CountWords."""

from penstock.definition.slots import slot
from penstock.objects.families import Activity
from penstock.objects.work import Work, WorkFailed


class CountWords(Activity):
    """Counts the words of a text."""

    icon = "count"

    text: str = slot("The text to count in.")
    most: int | None = slot("How many words there may be.")

    def run(self, work: Work) -> None:
        """Write the number down."""
        count = len(self.text.split())
        if self.most is not None and count > self.most:
            raise WorkFailed(f"{count} words are too many.")
        with work.storage.create("s3://b/count.txt") as stream:
            stream.write(str(count).encode())
'''
CLASH = ACTIVITY.replace("class CountWords", "class ShellCommandActivity")
LIST = """
from penstock.definition.slots import slots_of
from penstock.objects import load_catalogue
cls = load_catalogue().types["CountWords"]
print(cls.family, cls.icon, cls.__doc__, [slot.doc for slot in slots_of(cls).values()][-2:])
"""


def installed(folder: Path, source: str) -> dict[str, str]:
    """A package on the search path, as pip leaves it; gives the environment that sees it."""
    package = folder / "site" / "word_pipes"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""Word activities."""\n')
    (package / "count_words.py").write_text(source)
    info = folder / "site" / "word_pipes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: word-pipes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[penstock.objects]\nwords = word_pipes\n")
    return {**os.environ, "PYTHONPATH": str(folder / "site"), "NO_COLOR": "1"}


def penstock(environment: dict[str, str], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments] if arguments[0] == "-c" else [sys.executable, "-m", "penstock", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def definition(folder: Path, **fields: str) -> str:
    activity = {"id": "Count", "type": "CountWords", "workerGroup": "g", **fields}
    default = {"id": "Default", "scheduleType": "ondemand"}
    (folder / "pipeline.json").write_text(json.dumps({"objects": [default, activity]}))
    return "pipeline.json"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return installed(tmp_path, ACTIVITY)


def test_validation_knows_the_type_and_its_slots(tmp_path: Path, environment: dict[str, str]) -> None:
    checked = penstock(environment, tmp_path, "validate", definition(tmp_path, txt="a b", most="few"))
    assert checked.returncode == 2
    assert "Count.txt: CountWords has no field 'txt'. Did you mean 'text'?" in checked.stdout
    assert "Count.text: CountWords needs a 'text'. The text to count in." in checked.stdout
    assert "Count.most: 'most' is 'few': it must be a whole number." in checked.stdout


def test_a_run_runs_it(tmp_path: Path, environment: dict[str, str]) -> None:
    arguments = ["--data-dir", "data", "--json"]
    ran = penstock(environment, tmp_path, "run", definition(tmp_path, text="one two #{@id}"), *arguments)
    assert ran.returncode == 0, ran.stderr
    (instance,) = json.loads(ran.stdout)["instances"]
    assert (instance["type"], instance["@status"]) == ("CountWords", "FINISHED")
    assert (tmp_path / "data" / "s3" / "b" / "count.txt").read_text() == "3"


def test_the_catalogue_that_documents_are_made_of_holds_it(tmp_path: Path, environment: dict[str, str]) -> None:
    listed = penstock(environment, tmp_path, "-c", LIST)
    wanted = "Activity count Counts the words of a text. ['The text to count in.', 'How many words there may be.']\n"
    assert listed.stdout == wanted, listed.stderr


def test_the_reference_documents_it(tmp_path: Path, environment: dict[str, str]) -> None:
    build = Path(__file__).parents[2] / "docs" / "build.py"
    checked = subprocess.run(
        [sys.executable, str(build), "--check"], env=environment, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 1
    assert "reference/types.md" in checked.stdout


def test_two_types_of_one_name_are_refused_with_both_places(tmp_path: Path) -> None:
    listed = penstock(installed(tmp_path, CLASH), tmp_path, "-c", LIST)
    assert (
        "The type ShellCommandActivity is declared by penstock.objects.activities.shell_command_activity and by"
        " word_pipes.count_words; rename one." in listed.stderr
    )


def test_a_package_that_cannot_be_imported_is_named_without_a_stack_trace(tmp_path: Path) -> None:
    environment = installed(tmp_path, "import nowhere_to_be_found")
    checked = penstock(environment, tmp_path, "validate", definition(tmp_path, text="a"))
    assert checked.returncode == 1
    assert checked.stderr == (
        "penstock: The package 'word_pipes' of object types cannot be imported: ModuleNotFoundError(\"No module named"
        " 'nowhere_to_be_found'\"). Mend it or uninstall it.\n"
    )


def test_the_built_in_types_come_by_the_same_way() -> None:
    types = load_catalogue().types
    assert {"CopyActivity", "EmrActivity", "S3DataNode", "Schedule", "SnsAlarm"} < set(types)
    assert all(name == cls.type_name() == cls.__name__ for name, cls in types.items())
    assert all(next(iter(slots_of(cls))) == "parent" for cls in types.values())


def test_loading_the_catalogue_loads_nothing_heavy() -> None:
    heavy = ["lark", "psycopg", "duckdb", "obstore", "botocore", "sqlite3", "ssl", "asyncio", "http.client", "uvicorn"]
    code = f"""
import sys
from penstock.objects import load_catalogue
load_catalogue()
print([name for name in {heavy!r} if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
