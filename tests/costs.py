"""What tests cost: `pytest -p tests.costs …` ends with the folders, modules and tests that took the most CPU.

Counted is what this process used and what child processes used that have ended; not what a server uses that lives on.
CPU, because it says the same on a busy machine as on a quiet one, or nearly so: seconds by the clock do not.
"""

from __future__ import annotations

import time
from collections import defaultdict
from operator import itemgetter
from resource import RUSAGE_CHILDREN, getrusage
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

SHOWN: Final = 25
SPENT: Final = pytest.StashKey[defaultdict[str, float]]()


def spent_seconds() -> float:
    """Return the CPU seconds used so far."""
    children = getrusage(RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def pytest_configure(config: pytest.Config) -> None:
    """Begin to count."""
    config.stash[SPENT] = defaultdict(float)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Count what a test uses, its fixtures included; whoever comes first pays for what many share."""
    before = spent_seconds()
    try:
        return (yield)
    finally:
        item.config.stash[SPENT][item.nodeid] += spent_seconds() - before


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the dearest folders (all that lanes are made of), modules and tests, the cases of one test together."""
    spent = config.stash[SPENT]
    kinds: dict[str, Callable[[str], str]] = {
        "folders": lambda test: "/".join(test.split("/")[:2]),
        "modules": lambda test: test.partition("::")[0],
        "tests": lambda test: test.partition("[")[0],
    }
    for kind, name_of in kinds.items():
        together: defaultdict[str, float] = defaultdict(float)
        for test, seconds in spent.items():
            together[name_of(test)] += seconds
        terminalreporter.section(f"CPU seconds: {sum(spent.values()):.1f}; the dearest {kind}")
        for name, seconds in sorted(together.items(), key=itemgetter(1), reverse=True)[:SHOWN]:
            terminalreporter.write_line(f"{seconds:8.2f}  {name}")
