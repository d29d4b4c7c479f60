"""The kit is tested: it fails every broken store, by the test that names the fault, and passes a whole one."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final, TypeAlias
from xml.etree import ElementTree as ET

import pytest

from tests.conformance.broken.faults import (
    ASKED,
    ASKED_IN_TRANSACTIONS,
    CAUGHT_BY,
    CAUGHT_IN_TRANSACTIONS,
    FOUND_BY_MACHINE,
    FOUND_IN_TRANSACTIONS_BY_MACHINE,
)
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

Verdicts: TypeAlias = "Mapping[tuple[str, str], set[str]]"

KIT: Final = "tests/conformance/broken/kit_on_broken_stores.py"
# Which tests each store is asked, by the name of its fault, beside the store without a fault that they are made from.
WHOLE: Final = {
    "Whole": {fault.__name__: tests for fault, tests in ASKED.items()},
    "WholeTransactions": {fault.__name__: tests for fault, tests in ASKED_IN_TRANSACTIONS.items()},
}
NAMED_BY: Final = {
    fault.__name__: test for faults in (CAUGHT_BY, CAUGHT_IN_TRANSACTIONS) for fault, test in faults.items()
}
FOUND: Final = {
    fault.__name__: machine
    for faults in (FOUND_BY_MACHINE, FOUND_IN_TRANSACTIONS_BY_MACHINE)
    for fault, machine in faults.items()
}


def asked_of(whole: str) -> list[str]:
    """Return the tests that a store without a fault must pass: all that the broken ones are asked."""
    return list(dict.fromkeys(test for tests in WHOLE[whole].values() for test in tests))


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """Run the kit on all of them at once; return what became of each test, by class and name."""
    report = tmp_path_factory.mktemp("broken") / "report.xml"
    asked = [
        f"{KIT}::Test{name}::{test}"
        for whole, faults in WHOLE.items()
        for name, tests in [(whole, asked_of(whole)), *faults.items()]
        for test in tests
    ]
    options = ["-p", "no:cacheprovider", "-q", "--tb=no", "--no-header", "-r", "N", f"--junit-xml={report}"]
    command = [sys.executable, "-m", "pytest", *options, *asked]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    found: dict[tuple[str, str], set[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        fault, test = case.attrib["classname"].rpartition(".Test")[2], case.attrib["name"].partition("[")[0]
        found.setdefault((fault, test), set()).add(next((child.tag for child in case), "passed"))
    return found


@pytest.mark.timeout(270)
@pytest.mark.parametrize("fault", NAMED_BY)
def test_the_kit_catches_the_fault(verdicts: Verdicts, fault: str) -> None:
    found = verdicts[fault, NAMED_BY[fault]]
    assert "failure" in found
    assert "error" not in found


@pytest.mark.timeout(270)
@pytest.mark.parametrize("fault", FOUND)
def test_the_state_machine_finds_the_fault(verdicts: Verdicts, fault: str) -> None:
    assert verdicts[fault, FOUND[fault]] == {"failure"}


@pytest.mark.timeout(270)
@pytest.mark.parametrize("name", WHOLE)
def test_the_kit_passes_a_store_without_a_fault(verdicts: Verdicts, name: str) -> None:
    whole = {test: found for (fault, test), found in verdicts.items() if fault == name}
    assert whole == {test: {"passed"} for test in asked_of(name)}
