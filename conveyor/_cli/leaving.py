"""Leaving a process in which the threads of handed-back jobs still run: nothing can cancel a thread."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Final

from conveyor._cli.output import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor.model.job import JobData

__all__ = ["leave_threads_behind"]

# Threads that only have to hear that it is over, such as idle ones of the event loop, are gone by then.
_OTHERS_SECONDS: Final = 1.0


def leave_threads_behind(jobs: Mapping[int, JobData], code: int) -> None:
    """End the process if threads of these jobs are all that is left of it; else return.

    Python would wait for them, and meanwhile their jobs, which are handed back, run elsewhere. Everything is closed by
    now; what ``atexit`` holds is called, and output is flushed.

    Args:
        jobs: the jobs whose handlers still run, by the ids of their threads.
        code: the exit code.
    """
    if not jobs:
        return
    named = ", ".join(f"{job.name} ({job.id})" for job in jobs.values())
    others = _other_threads(jobs)
    if others:
        say(f"waiting for threads: {', '.join(thread.name for thread in others)}; and for the sync handlers of {named}")
        return
    say(f"leaving behind the threads of sync handlers, which cannot be cancelled: {named}")
    atexit._run_exitfuncs()  # noqa: SLF001 - os._exit leaves them out, and there is no public way to call them
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _other_threads(jobs: Mapping[int, JobData]) -> list[threading.Thread]:
    deadline = time.monotonic() + _OTHERS_SECONDS
    own = threading.current_thread()
    others = [t for t in threading.enumerate() if t is not own and not t.daemon and t.ident not in jobs]
    for thread in others:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [thread for thread in others if thread.is_alive()]
