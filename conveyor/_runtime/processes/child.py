"""``python -m conveyor._runtime.processes.child``: the process of a handler; a worker starts it, and nobody else.

It is told what to run on its standard input, and tells how that goes on what was its standard output; what handlers
print goes to standard error. When its worker is gone, for whatever reason, so is its input, and it ends at once.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import runpy
import signal
import sys
import threading
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, NoReturn

from conveyor._runtime.endings import OUTCOMES
from conveyor._runtime.processes.nesting import enter_handler_process
from conveyor._services.context import JobContext
from conveyor._services.flows import ChildJob
from conveyor._services.importing import MAIN, import_handler
from conveyor.codec import decode_json, encode_json
from conveyor.codec.remote_runs import HEADER_SIZE, body_size, frame, read_answer, read_order, read_setup
from conveyor.errors import ConfigurationError, PayloadError
from conveyor.model.outcomes import Completed, Failed, Outcome, Stop
from conveyor.model.remote_runs import RunReport, end_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from conveyor.model.flows import Flow
    from conveyor.model.job import JobData, LogEntry, NewJob, ProgressReport
    from conveyor.model.remote_runs import ProcessSetup, RunEnd, RunOrder

__all__ = ["main"]

SPAWNED_MAIN: Final = "__mp_main__"
# How long threads that handlers left behind may hold up the end.
EXIT_SECONDS: Final = 5.0


class RunReports:
    """The reports of one run, and what it asks; once it has ended, they go nowhere."""

    def __init__(self, output: BinaryIO, told: queue.SimpleQueue[bytes | None]) -> None:
        """Write to where the worker listens; its answers are among what it told."""
        self._output = output
        self._told = told
        self._is_open = True
        self._mutex = threading.Lock()
        # Held until the answer has come: the worker's next word is an order only once nothing is asked any more.
        self._asking = threading.Lock()

    def add_log(self, entry: LogEntry, /) -> None:
        """Tell one line."""
        self._tell(RunReport(log=entry.message))

    def add_progress(self, report: ProgressReport, /) -> None:
        """Tell progress."""
        self._tell(RunReport(progress=report.progress))

    def begin(self) -> None:
        """Tell that the run has begun: from here on its end, whatever it is, is the handler's doing."""
        self._tell(RunReport())

    def ask_children(self) -> Sequence[ChildJob]:
        """Return what the worker knows of the children of the job that runs."""
        with self._asking:
            if not self._is_open:
                raise ConfigurationError("ctx.sync_children() was called after the handler had ended")
            self._tell(RunReport(asks_children=True))
            answer = read_answer(self._told.get() or b"")
        return [
            ChildJob(
                child.job_id,
                child.queue_name,
                child.name,
                child.outcome,
                None if child.result is None else decode_json(child.result),
                child.error,
            )
            for child in answer.children
        ]

    def end(self, end: RunEnd) -> None:
        """Tell how it ended."""
        with self._asking:
            self._tell(RunReport(end=end), is_last=True)

    def _tell(self, report: RunReport, *, is_last: bool = False) -> None:
        data = frame(report)
        with self._mutex:
            if self._is_open:
                self._is_open = not is_last
                self._output.write(data)
                self._output.flush()


class WorkersFlows:
    """The way to the children of the job that runs, which only its worker knows."""

    def __init__(self, reports: RunReports) -> None:
        """Ask by way of the run's reports."""
        self._reports = reports

    def read_children(self) -> Sequence[ChildJob]:
        """Ask, and wait."""
        return self._reports.ask_children()

    async def get_children(self) -> NoReturn:
        """Refuse: no event loop runs here."""
        raise ConfigurationError("ctx.children() is for async handlers: here, call ctx.sync_children()")

    async def add_children(self, _: Sequence[Flow | NewJob], /) -> NoReturn:
        """Refuse: no event loop runs here."""
        raise ConfigurationError("ctx.add_children() is for async handlers, and this one has executor='process'")


def main() -> None:
    """Run what is ordered until the worker wants no more."""
    enter_handler_process()
    # Ctrl-C is the worker's affair.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable()
    orders_from, reports_to = _take_streams()
    setup = read_setup(_read(orders_from) or b"{}")
    sys.path[:], sys.argv[:] = setup.paths, setup.arguments
    told: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    is_busy = threading.Event()
    threading.Thread(target=_listen, args=(orders_from, told, is_busy), daemon=True).start()
    while (body := told.get()) is not None:
        reports = RunReports(reports_to, told)
        reports.begin()
        end = _run(setup, read_order(body), reports)
        # Before the worker hears of it, and may send the next order.
        is_busy.clear()
        reports.end(end)


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the two ends that lead to the worker, out of the reach of handlers and of what they start."""
    orders_from, reports_to = os.dup(0), os.dup(1)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what was printed before a crash is wanted most
    if hasattr(os, "register_at_fork"):
        # A process forked from this one would keep the worker believing that this one lives.
        for descriptor in (orders_from, reports_to):
            os.register_at_fork(after_in_child=partial(os.close, descriptor))
    return os.fdopen(orders_from, "rb"), os.fdopen(reports_to, "wb")


def _read(source: BinaryIO) -> bytes | None:
    header = source.read(HEADER_SIZE)
    return source.read(body_size(header)) if len(header) == HEADER_SIZE else None


def _listen(source: BinaryIO, told: queue.SimpleQueue[bytes | None], is_busy: threading.Event) -> None:
    """Hear orders and answers in a thread of its own, and end the process when there will be no more."""
    while (body := _read(source)) is not None:
        is_busy.set()
        told.put(body)
    if not is_busy.is_set():
        told.put(None)
        threading.Event().wait(EXIT_SECONDS)
    # Where it is busy its worker died, and what runs here has lost its lock: it ends with all that it started.
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _run(setup: ProcessSetup, order: RunOrder, reports: RunReports) -> RunEnd:
    outcome = _outcome(setup, order, reports)
    try:
        return end_of(outcome, _result_of(order.job, outcome))
    except PayloadError as exc:
        return end_of(Failed(exc, retry=False))


def _outcome(setup: ProcessSetup, order: RunOrder, reports: RunReports) -> Outcome:
    try:
        value = _call(setup, order, reports)
    except Stop as stop:
        return stop.outcome
    except BaseException as exc:  # noqa: BLE001 - sys.exit() in a job ends the job, not the process of others
        return Failed(exc)
    return value if isinstance(value, OUTCOMES) else Completed(value)


def _call(setup: ProcessSetup, order: RunOrder, reports: RunReports) -> object:
    if order.module == MAIN and SPAWNED_MAIN not in sys.modules:
        _import_main(setup)
    handler = import_handler(order.module, order.qualname)
    args, kwargs = handler.read(order.job)
    if handler.wants_context:
        context = JobContext(
            order.job,
            reports,
            _is_never_cancelled,
            is_async=False,
            flows=lambda _: WorkersFlows(reports),
            get_state=_refuse_state,
        )
        args = (context, *args)
    return handler.function(*args, **kwargs)


def _refuse_state() -> NoReturn:
    raise ConfigurationError("ctx.state is in the worker's process, and this handler has executor='process'")


def _is_never_cancelled() -> bool:
    """A run that is to stop is ended with its process."""
    return False


def _result_of(job: JobData, outcome: Outcome) -> bytes | None:
    if not isinstance(outcome, Completed) or outcome.value is None:
        return None
    try:
        return encode_json(outcome.value)
    except PayloadError as exc:
        raise PayloadError("result", exc.path, exc.reason, name=job.name, job_id=job.id) from exc


def _import_main(setup: ProcessSetup) -> None:
    """Run the program's main module under another name, so that it defines its handlers and starts nothing."""
    module = ModuleType(SPAWNED_MAIN)
    if setup.main_module is not None:
        names = runpy.run_module(setup.main_module, run_name=SPAWNED_MAIN, alter_sys=True)
    else:
        names = runpy.run_path(setup.main_path or "", run_name=SPAWNED_MAIN)
    module.__dict__.update(names)
    sys.modules[MAIN] = sys.modules[SPAWNED_MAIN] = module


if __name__ == "__main__":
    main()
