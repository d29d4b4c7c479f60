"""How long tests of the kit may take."""

from __future__ import annotations

import pytest

# Thousands of commands, one after the other: seconds on a machine at rest, minutes beside others.
MACHINE_SECONDS = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the state machine the time that it takes."""
    for item in items:
        if item.name.startswith("test_random_commands"):
            item.add_marker(pytest.mark.timeout(MACHINE_SECONDS))
