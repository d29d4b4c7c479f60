"""The report of a run of the kit: what passed in each chapter, and what the store declares."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest
from attrs import asdict
from rich.table import Table

if TYPE_CHECKING:
    from conveyor.contracts.store import Store

__all__ = ["URL_OPTION", "Chapters", "capability_table"]

URL_OPTION: Final = "--conformance-url"


class Chapters:
    """A pytest plugin that counts outcomes by chapter: the class of the kit that a test comes from."""

    def __init__(self) -> None:
        self.outcomes: dict[str, Counter[str]] = {}
        self.failures: list[str] = []
        self._chapter_of: dict[str, str] = {}

    @pytest.hookimpl
    def pytest_addoption(self, parser: pytest.Parser) -> None:
        """Let the URL be given."""
        parser.addoption(URL_OPTION, help="the URL of the store to test, which must be empty")

    @pytest.hookimpl
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note where each test comes from."""
        for item in items:
            function = item.function if isinstance(item, pytest.Function) else None
            chapter = getattr(function, "__qualname__", "").partition(".")[0]
            self._chapter_of[item.nodeid] = chapter.removesuffix("Conformance")

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once: where it was called, or where it did not come so far."""
        if report.when == "call" or report.outcome != "passed":
            chapter = self._chapter_of[report.nodeid]
            self.outcomes.setdefault(chapter, Counter())[report.outcome] += 1
        if report.failed:
            self.failures.append(f"{report.nodeid.rpartition('::')[2]}\n{report.longreprtext}")

    def table(self) -> Table:
        """Return how many passed, failed and were skipped."""
        table = Table("chapter", "passed", "failed", "skipped", title="Conformance")
        for chapter, counts in self.outcomes.items():
            table.add_row(chapter, *(str(counts[outcome]) for outcome in ("passed", "failed", "skipped")))
        return table


def capability_table(store: Store) -> Table:
    """Return what a store declares of itself."""
    table = Table("capability", "declared", title=store.name)
    for name, value in asdict(store.capabilities).items():
        table.add_row(name, "yes" if value is True else "no" if value is False else str(value))
    table.add_row("an acknowledged add survives", store.guarantees.add.value)
    table.add_row("an acknowledged settle survives", store.guarantees.settle.value)
    return table
