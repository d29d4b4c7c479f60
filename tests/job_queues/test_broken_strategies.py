"""The kit for strategies is tested: it fails each broken one by the test that names the fault, and passes the whole."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final, TypeAlias
from xml.etree import ElementTree as ET

import pytest

from tests.house.tree import ROOT
from tests.job_queues.broken.faults import DELIVERED, KEPT

if TYPE_CHECKING:
    from collections.abc import Mapping

Verdicts: TypeAlias = "Mapping[tuple[str, str], set[str]]"

KIT: Final = "tests/job_queues/broken/kit_on_broken_strategies.py"
NAMED_BY: Final = {fault.__name__: test for faults in (KEPT, DELIVERED) for fault, test in faults.items()}
# What the broken ones are asked, those are asked, too, that they are made from.
WHOLE: Final = {"Whole": sorted(set(KEPT.values())), "WholePost": sorted(set(DELIVERED.values()))}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    """Run the kit on all of them at once; return what became of each test, by class and name."""
    report = tmp_path_factory.mktemp("broken") / "report.xml"
    asked = [f"{KIT}::Test{fault}::{test}" for fault, test in NAMED_BY.items()]
    asked += [f"{KIT}::Test{whole}::{test}" for whole, tests in WHOLE.items() for test in tests]
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
@pytest.mark.parametrize("name", WHOLE)
def test_the_kit_passes_a_strategy_without_a_fault(verdicts: Verdicts, name: str) -> None:
    whole = {test: found for (fault, test), found in verdicts.items() if fault == name}
    assert whole == {test: {"passed"} for test in WHOLE[name]}
