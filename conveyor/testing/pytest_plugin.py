"""Fixtures for pytest, for those who ask: ``pytest_plugins = ["conveyor.testing.pytest_plugin"]`` in conftest.py."""

from __future__ import annotations

from typing import Any

import pytest

from conveyor.testing.clocks import JumpingClock, jumping_backends

__all__ = ["conveyor_clock", "conveyor_jumping_backend", "conveyor_store"]


@pytest.fixture
def conveyor_store() -> str:
    """Lend the URL of a new, empty store in memory."""
    return "memory://"


@pytest.fixture
def conveyor_clock() -> JumpingClock:
    """Lend a wall clock that follows the event loop."""
    return JumpingClock()


@pytest.fixture(params=jumping_backends(), ids=lambda backend: f"jumping-{backend[0]}")
def conveyor_jumping_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run a test on both backends, on loops that jump: return it from your fixture ``anyio_backend``."""
    backend: tuple[str, dict[str, Any]] = request.param
    return backend
