"""Marks every coroutine test of this folder for pytest-trio, which shares the suite with anyio's plugin by marker."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spare each test the marker; a test here never has the other plugin's."""
    for item in items:
        if Path(__file__).parent not in item.path.parents or not isinstance(item, pytest.Function):
            continue
        if item.get_closest_marker("anyio"):
            raise pytest.UsageError(f"{item.nodeid}: tests of this folder run on trio only, without anyio's plugin")
        if inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.trio)
