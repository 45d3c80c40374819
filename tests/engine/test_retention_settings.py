"""`[retention]` in the settings, and the order in which instances go."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.settings import RetentionSettings, SettingsError, load_settings


def settings(tmp_path: Path, text: str) -> RetentionSettings:
    path = tmp_path / "penstock.toml"
    path.write_text(text)
    return load_settings(path).retention


def test_everything_is_kept_unless_the_settings_say_otherwise(tmp_path: Path) -> None:
    assert not load_settings(None).retention.is_on
    assert not settings(tmp_path, "[retention]").is_on


def test_each_setting_turns_it_on(tmp_path: Path) -> None:
    found = settings(tmp_path, "[retention]\ninstances_days = 1.5\ninstances_per_component = 10\nlogs_days = 3")
    assert found == RetentionSettings(instances_days=1.5, instances_per_component=10, logs_days=3)
    assert found.is_on


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("days = 3", r"no setting 'retention\.days'; known ones are definition_versions, events_days, instances_days"),
        ("events_days = -1", r"'retention\.events_days' is -1; it must not be negative"),
        ("events_days = '3'", r"'retention\.events_days' must be a number"),
        ("instances_per_component = 2.5", r"'retention\.instances_per_component' is 2\.5; it must be a whole number"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        settings(tmp_path, f"[retention]\n{line}")
