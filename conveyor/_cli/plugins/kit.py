"""The conformance kit, started as a process: what tests stores stays out of the command line's own."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Final

from conveyor._cli.failures import CommandError, ExitCode

__all__ = ["run_kit"]

KIT: Final = "conveyor.testing.conformance"
NEEDED: Final = ("pytest", "hypothesis")


def run_kit(url: str, keyword: str | None) -> int:
    """Run the kit on the store of this URL, its output here, and return its exit code.

    Raises:
        CommandError: what the kit needs is not installed.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        what = f"the conformance kit needs {' and '.join(missing)}"
        raise CommandError(ExitCode.FAILED, what, 'pip install "conveyor[testing]"')
    chosen = [] if keyword is None else ["-k", keyword]
    sys.stdout.flush()
    # The arguments are a person's own, and no shell reads them; -- lets no URL pass for an option.
    command = [sys.executable, "-m", KIT, *chosen, "--", url]
    return subprocess.run(command, check=False).returncode  # noqa: S603
