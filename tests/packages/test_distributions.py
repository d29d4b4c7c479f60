"""What is found in an archive that lacks something or holds too much, and in metadata that says too little."""

from __future__ import annotations

from textwrap import dedent
from typing import Final

import pytest

from tests.packages.distributions import UNFINISHED, distributions, faults_of_metadata, faults_of_sdist, faults_of_wheel

FILES: Final = frozenset({"acme/__init__.py", "acme/py.typed", "acme/sql/jobs/save_jobs.sql"})
INFORMATION: Final = frozenset({"acme-1.0.dist-info/METADATA", "acme-1.0.dist-info/licenses/LICENSE"})
BESIDE: Final = frozenset({"LICENSE", "PKG-INFO", "README.md", "pyproject.toml"})
METADATA: Final = """
    Metadata-Version: 2.4
    Name: acme
    Version: 1.0
    Summary: Stores
    License-Expression: MIT
    Requires-Python: >=3.11
    Description-Content-Type: text/markdown

    # acme
"""


@pytest.mark.parametrize(
    ("names", "faults"),
    [
        (FILES | INFORMATION, []),
        (FILES | INFORMATION - {"acme-1.0.dist-info/licenses/LICENSE"}, ["lacks its licence"]),
        (FILES - {"acme/sql/jobs/save_jobs.sql"} | INFORMATION, ["lacks acme/sql/jobs/save_jobs.sql"]),
        (FILES | INFORMATION | {"tests/test_acme.py"}, ["has tests/test_acme.py"]),
    ],
)
def test_a_wheel_holds_the_package_and_nothing_else(names: frozenset[str], faults: list[str]) -> None:
    assert faults_of_wheel(names, FILES) == faults


def test_a_package_without_types_is_told() -> None:
    files = FILES - {"acme/py.typed"}
    assert faults_of_wheel(files | INFORMATION, files) == ["lacks acme/py.typed"]


@pytest.mark.parametrize(
    ("names", "faults"),
    [
        (FILES | BESIDE | {"CHANGELOG.md", ".gitignore"}, []),
        (FILES | BESIDE - {"LICENSE"}, ["lacks LICENSE"]),
        (
            FILES | BESIDE | {"docs/index.md", "acme/__pycache__/a.pyc"},
            ["has acme/__pycache__/a.pyc", "has docs/index.md"],
        ),
    ],
)
def test_an_sdist_holds_what_a_wheel_is_built_from(names: frozenset[str], faults: list[str]) -> None:
    assert faults_of_sdist(names, FILES) == faults


@pytest.mark.parametrize(
    ("left_out", "faults"),
    [
        ("nothing", []),
        ("License-Expression", ["says nothing about its licence"]),
        ("Requires-Python", ["says nothing about its Python"]),
        ("Version", ["says version: 'version' is a required field"]),
    ],
)
def test_metadata_says_what_an_index_shows(left_out: str, faults: list[str]) -> None:
    lines = [line for line in dedent(METADATA).strip().splitlines() if not line.startswith(f"{left_out}:")]
    assert faults_of_metadata("\n".join(lines).encode()) == faults


def test_the_first_distribution_is_conveyor_and_plugins_are_named_by_their_folder() -> None:
    root, *plugins = distributions()
    assert root.name == "conveyor"
    assert [plugin.folder.name for plugin in plugins] == [plugin.name for plugin in plugins]
    assert root.name not in UNFINISHED
