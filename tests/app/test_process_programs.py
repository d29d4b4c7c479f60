"""Programs whose handlers have processes of their own: none outlives its program, and none begins it again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.app.process_looks import gone, hanging, is_alive

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM: Final = """
import os
import sys
import time
from pathlib import Path

import anyio
from conveyor import Conveyor

app = Conveyor("memory://")

@app.queue("work").job(executor="process")
def hang(folder: str) -> None:
    draft = Path(folder) / "draft"
    draft.write_text(str(os.getpid()))
    draft.rename(Path(folder) / "processes")
    while True:
        time.sleep(600)

async def main() -> None:
    async with app, app.worker():
        job = await hang.add(sys.argv[1])
        await job.wait_until_finished()
        print(job.data.error)
"""
GUARD: Final = 'if __name__ == "__main__":\n    '


@pytest.mark.anyio
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
async def test_no_process_outlives_its_program(number: signal.Signals, anyio_backend: str, tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(f"{PROGRAM}\n{GUARD}anyio.run(main, backend={anyio_backend!r})\n")
    command = [sys.executable, str(script), str(tmp_path)]
    with subprocess.Popen(  # noqa: ASYNC220 - starting is quick, and what follows awaits
        command, start_new_session=True, stderr=subprocess.DEVNULL
    ) as program:
        (process,) = await hanging(tmp_path)
        assert is_alive(process)
        # As a terminal does with Ctrl-C; the others are sent to the program alone.
        (os.killpg if number is signal.SIGINT else os.kill)(program.pid, number)
        await gone(process)
        assert program.wait(timeout=20) != 0


def test_a_program_that_starts_when_it_is_imported_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(f"{PROGRAM}\nanyio.run(main)\n")
    ran = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, timeout=50, check=True)
    assert "ConfigurationError: the process of a handler runs no worker" in ran.stdout
    assert "if __name__ == '__main__':" in ran.stdout


def test_a_program_without_a_file_can_not_have_such_handlers() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=50, check=False)
    assert ran.returncode == 1
    assert "ConfigurationError: handler 'hang' has executor='process', and so must be importable" in ran.stderr
