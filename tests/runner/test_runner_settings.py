"""`[runner]` in the settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.settings import RunnerSettings, SettingsError, load_settings


def test_a_runner_reports_every_ten_seconds_unless_the_settings_say_otherwise(tmp_path: Path) -> None:
    assert load_settings(None).runner == RunnerSettings(report=10, answer_within=20)
    path = tmp_path / "penstock.toml"
    path.write_text("[runner]\nreport = 0.5")
    assert load_settings(path).runner == RunnerSettings(report=0.5, answer_within=20)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("report = 0", "'runner.report' is 0; it must be at least 0.05 seconds."),
        ("answer_within = 0.01", "'runner.answer_within' is 0.01; it must be at least 0.05 seconds."),
        ("poll = 1", "there is no setting 'runner.poll'; known ones are answer_within, report."),
        ("report = 'often'", "'runner.report' must be a number."),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "penstock.toml"
    path.write_text(f"[runner]\n{line}")
    with pytest.raises(SettingsError) as error:
        load_settings(path)
    assert message in str(error.value)
