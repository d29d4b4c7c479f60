"""``conveyor completion``: scripts that shells accept, printed or installed."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

SHELLS = ["bash", "zsh", "fish"]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_knows_commands_and_options(conveyor: Callable[..., Ran], shell: str) -> None:
    ran = conveyor("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    for word in ("worker", "promote", "obliterate", "finished-after", "yes-delete"):
        assert word in ran.out


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_reads_the_script_without_complaint(conveyor: Callable[..., Ran], folder: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    script = folder / "conveyor.completion"
    script.write_text(conveyor("completion", shell).out)
    done = subprocess.run([shell, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_a_command_and_its_options(conveyor: Callable[..., Ran], folder: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("there is no bash here")
    script = folder / "conveyor.completion"
    script.write_text(conveyor("completion", "bash").out)
    ask = "source conveyor.completion; COMP_WORDS=(conveyor queues ob); COMP_CWORD=2; _conveyor; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", ask], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["obliterate"], done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_installing_writes_below_home_only(
    conveyor: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR", "BASH_COMPLETION_USER_DIR"):
        monkeypatch.delenv(name, raising=False)
    ran = conveyor("completion", shell, "--install")
    assert (ran.code, ran.out) == (0, "")
    written = [path for path in home.rglob("*") if path.is_file()]
    assert any("obliterate" in path.read_text() for path in written)
    assert f"installed as {home}" in ran.err


def test_another_shell_is_wrong_usage(conveyor: Callable[..., Ran]) -> None:
    assert conveyor("completion", "tcsh").code == 2
