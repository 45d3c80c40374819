"""Fixtures for tests with real processes that are killed: a site of processes for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fault_site import Site


@pytest.fixture
def new_site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Site]]:
    """Makes sites; each must leave no process behind, and ends before a database that its servers use is emptied."""
    if "new_postgresql_url" in request.fixturenames:
        request.getfixturevalue("new_postgresql_url")
    with ExitStack() as stack:
        made: list[Site] = []

        def make(**options: Any) -> Site:
            site = Site(tmp_path / f"site-{len(made)}", **options)
            made.append(site)
            stack.callback(site.end)
            return site

        yield make


@pytest.fixture
def site(new_site: Callable[..., Site]) -> Site:
    """A site of the test's own."""
    return new_site()
