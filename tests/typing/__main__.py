"""Have mypy, basedpyright and ty read the programs: each must report the lines marked wrong, and no other.

Run it with ``python -m tests.typing``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PROGRAMS: Final = ("right.py", "wrong.py")
CHECKERS: Final = {
    "mypy": ("mypy",),
    "basedpyright": ("basedpyright",),
    "ty": ("ty", "check", "--output-format", "concise", "--error-on-warning"),
}
# Each of the three writes a path, a line, perhaps a column, and then how bad it is.
REPORTED: Final = re.compile(r"(\w+\.py):(\d+).*\b(?:error|warning)\b")
MARK: Final = "  # wrong: "


def marked() -> set[tuple[str, int]]:
    """Return the lines that are wrong, and say so."""
    return {
        (name, number)
        for name in PROGRAMS
        for number, line in enumerate((HERE / name).read_text(encoding="utf-8").splitlines(), start=1)
        if MARK in line
    }


def reported(command: tuple[str, ...]) -> set[tuple[str, int]]:
    """Return the lines of which a checker says something."""
    files = [str(HERE / name) for name in PROGRAMS]
    done = subprocess.run([*command, *files], cwd=HERE.parents[1], capture_output=True, text=True, check=False)
    found = {(name, int(number)) for name, number in REPORTED.findall(done.stdout)}
    if not found:
        raise SystemExit(f"{command[0]} reports nothing at all:\n{done.stdout}{done.stderr}")
    return found


def main() -> int:
    """Compare what each checker reports with the marks; return the exit code."""
    wanted, failed = marked(), False
    for checker, command in CHECKERS.items():
        found = reported(command)
        faults = [f"  {name}:{line} is marked and not reported" for name, line in sorted(wanted - found)]
        faults += [f"  {name}:{line} is reported and not marked" for name, line in sorted(found - wanted)]
        print("\n".join([f"{checker}: {len(found & wanted)} of {len(wanted)} mistakes found", *faults]))
        failed = failed or bool(faults)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
