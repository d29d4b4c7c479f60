"""Handlers that have processes of their own: those import this module to find them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from conveyor import Cancel, Completed, Conveyor, Failed, JobContext, Retry, Snooze, Stop, WaitForChildren

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor.model.outcomes import Outcome

__all__ = ["OUTCOMES", "app"]

# Its store is what CONVEYOR_STORE says when it is opened.
app = Conveyor()
work = app.queue("work")

OUTCOMES: Final[Mapping[str, Outcome]] = {
    "completed": Completed(7),
    "cancel": Cancel("enough"),
    "failed": Failed("broken", retry=False),
    "retry": Retry(after=3600, reason="busy"),
    "snooze": Snooze("1 hour"),
}


@work.job(executor="process")
def add_up(upto: int) -> int:
    """Keep a processor busy."""
    return sum(range(upto + 1))


@work.job(executor="process")
def arguments() -> list[str]:
    """Return those of the program."""
    return sys.argv


@work.job(executor="process")
def own_process_id() -> int:
    """Return the process it runs in."""
    return os.getpid()


@work.job(executor="process")
def add_children_up(context: JobContext) -> list[object]:
    """Say what its children came to."""
    return [(child.name, child.outcome, child.value, str(child.error)) for child in context.sync_children()]


@work.job(executor="process", attempts=2)
def wait_for_children(context: JobContext, folder: str | None = None) -> object:
    """Wait for children, whether there are any or not; with a folder, once a file there says so."""
    if folder is None:
        return WaitForChildren()
    if children := context.sync_children():
        return [child.value for child in children]
    (Path(folder) / "begun").touch()
    while not (Path(folder) / "go_on").exists():
        time.sleep(0.01)
    return WaitForChildren()


@work.job(executor="process", attempts=2)
def refuse(reason: str) -> None:
    """Fail in a way that says where."""
    raise LookupError(reason)


@work.job(executor="process")
def leave() -> None:
    """End by what ends a program."""
    sys.exit(3)


@work.job(executor="process", attempts=2)
def decide(outcome: str, is_raised: bool = False) -> object:
    """End as it is told."""
    if is_raised:
        raise Stop(OUTCOMES[outcome])
    return OUTCOMES[outcome]


@work.job(executor="process")
def return_what_has_no_json() -> object:
    """Return what cannot be told."""
    return object()


@work.job(executor="process")
def report(context: JobContext, total: int) -> str:
    """Tell how it goes, and who it is."""
    print("what a handler prints harms nobody")  # noqa: T201 - it is about that
    for done in range(total):
        context.log(f"line {done}")
        context.progress(done + 1, total, "half" if done else None)
    return f"{context.job.name}, attempt {context.attempt}, cancelled: {context.cancelled}"


@work.job(executor="process")
def ask_for_the_state(context: JobContext) -> object:
    """Want what only the worker has."""
    return context.state


@work.job(executor="process")
def hang(folder: str) -> None:
    """Never end; say in a file which processes would have to."""
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    draft = Path(folder) / "draft"
    draft.write_text(f"{os.getpid()} {started.pid}")
    draft.rename(Path(folder) / "processes")
    while True:
        time.sleep(600)


@work.job(executor="process")
def die(how: str) -> None:
    """Take the process down."""
    if how == "exit":
        os._exit(7)
    os.kill(os.getpid(), signal.Signals[how])
