"""The demo's app: one queue over one SQLite file, one handler that analyses a file and writes to the ledger."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from attrs import asdict, frozen

from conveyor import Conveyor, JobContext, JobHandler, Queue, fixed
from conveyor._cli.demo.analysis import count_source
from conveyor._cli.demo.folder import Folder
from conveyor._cli.demo.ledger import Ledger

__all__ = ["LOCK_SECONDS", "STALLED_INTERVAL_SECONDS", "DemoApp", "make_app"]

# Short, so that a killed worker's jobs are seen recovering within seconds; users want 30 s and 5 s.
LOCK_SECONDS: Final = 3.0
STALLED_INTERVAL_SECONDS: Final = 0.5


@frozen
class DemoApp:
    """The app and what the demo holds of it."""

    app: Conveyor
    queue: Queue
    analyse: JobHandler[Any, dict[str, float], [str], dict[str, float]]


def make_app(folder: Folder, ledger: Ledger) -> DemoApp:
    """Make the app over the database in the folder; every run writes its beginning and end to the ledger."""
    app = Conveyor(f"sqlite:///{quote(str(folder.database))}")
    queue = app.queue("files", attempts=2, backoff=fixed("300ms"))

    # A sync handler runs in a thread: counting a large file does not keep the worker from renewing its lock.
    @queue.job()
    def analyse(context: JobContext, file: str) -> dict[str, float]:
        job_id, run, attempt = context.job.id, str(context.job.token), context.attempt
        ledger.started(job_id, file, run=run, attempt=attempt)
        outcome, begun = "failed", time.perf_counter()
        try:
            counts = count_source(Path(file).read_bytes())
            outcome = "completed"
        finally:
            seconds = time.perf_counter() - begun
            ledger.finished(job_id, file, run=run, attempt=attempt, outcome=outcome, seconds=seconds)
        return {**asdict(counts), "seconds": seconds}

    return DemoApp(app, queue, analyse)
