"""Fixtures of the app's tests: each runs over both built-in stores."""

from __future__ import annotations

import pytest

from conveyor import Conveyor


@pytest.fixture(params=["memory", "sqlite"])
def store_url(request: pytest.FixtureRequest) -> str:
    """A fresh store of each kind."""
    return "memory://" if request.param == "memory" else request.getfixturevalue("sqlite_url")


@pytest.fixture
def app(store_url: str) -> Conveyor:
    """An app that is not open yet."""
    return Conveyor(store_url)
