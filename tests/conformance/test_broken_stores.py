"""The kit is tested: it fails every broken store, by the test that names the fault, and passes a whole one."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final, TypeAlias
from xml.etree import ElementTree as ET

import pytest

from tests.conformance.broken.faults import ASKED, CAUGHT_BY, FOUND_BY_MACHINE, MACHINE
from tests.house.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.conformance.broken.bench import Fault

Verdicts: TypeAlias = "Mapping[tuple[str, str], set[str]]"

KIT: Final = "tests/conformance/broken/kit_on_broken_stores.py"


TESTS: Final = dict.fromkeys(test for asked in ASKED.values() for test in asked)


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """Run the kit on all of them at once; return what became of each test, by class and name."""
    report = tmp_path_factory.mktemp("broken") / "report.xml"
    asked = [f"{KIT}::Test{fault.__name__}::{test}" for fault, tests in ASKED.items() for test in tests]
    asked += [f"{KIT}::TestWhole::{test}" for test in TESTS]
    options = ["-p", "no:cacheprovider", "-q", "--tb=no", "--no-header", "-r", "N", f"--junit-xml={report}"]
    command = [sys.executable, "-m", "pytest", *options, *asked]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == pytest.ExitCode.TESTS_FAILED, run.stdout + run.stderr
    found: dict[tuple[str, str], set[str]] = {}
    for case in ET.parse(report).iter("testcase"):
        fault, test = case.attrib["classname"].rpartition(".Test")[2], case.attrib["name"].partition("[")[0]
        found.setdefault((fault, test), set()).add(next((child.tag for child in case), "passed"))
    return found


@pytest.mark.timeout(150)
@pytest.mark.parametrize("fault", CAUGHT_BY, ids=lambda fault: fault.__name__)
def test_the_kit_catches_the_fault(verdicts: Verdicts, fault: Fault) -> None:
    found = verdicts[fault.__name__, CAUGHT_BY[fault]]
    assert "failure" in found
    assert "error" not in found


@pytest.mark.timeout(150)
@pytest.mark.parametrize("fault", FOUND_BY_MACHINE, ids=lambda fault: fault.__name__)
def test_the_state_machine_finds_the_fault(verdicts: Verdicts, fault: Fault) -> None:
    assert verdicts[fault.__name__, MACHINE] == {"failure"}


@pytest.mark.timeout(150)
def test_the_kit_passes_a_store_without_a_fault(verdicts: Verdicts) -> None:
    whole = {test: found for (fault, test), found in verdicts.items() if fault == "Whole"}
    assert whole == {test: {"passed"} for test in TESTS}
