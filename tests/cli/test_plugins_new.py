"""``conveyor plugins new``: what it writes works, and it overwrites nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

# Of the store's tests those of its own: the whole kit takes its time, and runs in `nox -s plugins`.
QUICK = {"store": "an_app or a_url or everything_of_its_run", "job-queue": ""}


def installed(folder: Path, name: str) -> dict[str, str]:
    """Describe the plugin's distribution as an installer would; return the environment in which it is found."""
    package = f"conveyor_plugin_{name.replace('-', '_')}"
    information = folder / "site" / f"{package}-0.1.0.dist-info"
    information.mkdir(parents=True)
    metadata = f"Metadata-Version: 2.1\nName: conveyor-plugin-{name}\nVersion: 0.1.0\n"
    (information / "METADATA").write_text(metadata, encoding="utf-8")
    (information / "entry_points.txt").write_text(f"[conveyor]\n{name} = {package}.plugin\n", encoding="utf-8")
    places = [str(folder / "site"), str(folder / f"conveyor-plugin-{name}")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(places)}


@pytest.mark.parametrize("kind", ["store", "job-queue"])
def test_the_tests_of_a_new_plugin_pass(conveyor: Callable[..., Ran], folder: Path, kind: str) -> None:
    ran = conveyor("plugins", "new", "my-acme", "--kind", kind)
    assert ran.code == 0
    package = folder / "conveyor-plugin-my-acme"
    assert {str(path.relative_to(folder)) for path in package.rglob("*") if path.is_file()} == set(ran.out.split())
    assert "cd conveyor-plugin-my-acme" in ran.err
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", QUICK[kind]],
        cwd=package,
        env=installed(folder, "my-acme"),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout, "what the kit leaves out for one lack, it leaves out by name"


@pytest.mark.parametrize("kind", ["store", "job-queue"])
def test_a_new_plugin_says_a_number_for_its_contracts(conveyor: Callable[..., Ran], folder: Path, kind: str) -> None:
    """A constant of ours would follow us, and tell nothing."""
    conveyor("plugins", "new", "acme", "--kind", kind, "--path", "sub")
    module = folder / "sub" / "conveyor-plugin-acme" / "conveyor_plugin_acme" / "plugin.py"
    assert "contract_version=1" in module.read_text(encoding="utf-8")
    assert "CONTRACT_VERSION" not in module.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["store", "job-queue"])
def test_no_placeholder_is_left(conveyor: Callable[..., Ran], folder: Path, kind: str) -> None:
    conveyor("plugins", "new", "acme", "--kind", kind)
    package = folder / "conveyor-plugin-acme"
    assert [path for path in package.rglob("*") if path.is_file() and "${" in path.read_text(encoding="utf-8")] == []
    assert [path for path in package.rglob("*") if "$" in path.name] == []


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Acme", "lower-case letters"),
        ("1acme", "lower-case letters"),
        ("acme--two", "lower-case letters"),
        ("../acme", "lower-case letters"),
        ("", "lower-case letters"),
        ("sqlite", "in the box"),
        ("conveyor-plugin-acme", "conveyor plugins new acme"),
    ],
)
def test_a_name_that_does_not_do_is_refused(conveyor: Callable[..., Ran], folder: Path, name: str, advice: str) -> None:
    before = sorted(folder.iterdir())
    ran = conveyor("plugins", "new", name)
    assert ran.code == 2
    assert advice in ran.err
    assert sorted(folder.iterdir()) == before


def test_a_folder_that_holds_something_is_left_alone(conveyor: Callable[..., Ran], folder: Path) -> None:
    there = folder / "conveyor-plugin-acme"
    there.mkdir()
    assert conveyor("plugins", "new", "acme").code == 0
    (there / "README.md").write_text("mine", encoding="utf-8")
    ran = conveyor("plugins", "new", "acme")
    assert ran.code == 5
    assert "is there already" in ran.err
    assert (there / "README.md").read_text(encoding="utf-8") == "mine"
