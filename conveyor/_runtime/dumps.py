"""Dumps: SIGUSR1 shows on stderr which jobs a worker runs, and where each of them is."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from conveyor._runtime.stacks import format_frames, frames_of_awaitable, frames_of_thread, frames_since

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from anyio import TaskInfo

    from conveyor._runtime.slots import Slot
    from conveyor._runtime.worker import Worker
    from conveyor.model.job import JobData

__all__ = ["describe_runs", "dumping"]

# What calls a handler: the handler's own frames begin after these modules'.
_CALLERS: Final = tuple(f"conveyor._runtime.{name}" for name in ("slots", "executor", "handler_threads"))
_STDERR: Final = 2


@contextmanager
def dumping(find_worker: Callable[[], Worker | None]) -> Iterator[None]:
    """Show the running jobs on stderr whenever the process gets SIGUSR1, for as long as the context lasts.

    It does nothing where there is no such signal, outside of the main thread, and where the program has its own use
    for the signal.
    """
    number = getattr(signal, "SIGUSR1", None)
    if number is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.getsignal(number)
    if previous not in (signal.SIG_DFL, signal.SIG_IGN):
        yield
        return

    # Not by way of the event loop: a handler that blocks it is what one wants to see.
    def dump(_number: int, executing: FrameType | None) -> None:
        _write(_describe(find_worker(), executing))

    signal.signal(number, dump)
    try:
        yield
    finally:
        signal.signal(number, previous)


def describe_runs(worker: Worker, executing: FrameType | None = None) -> str:
    """Return which jobs a worker runs, each with its stack.

    Args:
        worker: the worker.
        executing: the innermost frame of the event loop's thread.
    """
    given_up = worker.executor.threads.jobs
    tasks = worker.executor.loop_token.backend_class.get_running_tasks()
    threads = {(job.id, job.token): thread_id for thread_id, job in worker.jobs_in_threads.items()}
    runs = [(slot, slot.job) for slot in worker.slots if slot.job is not None]
    said = [f"SIGUSR1: worker {os.getpid()} runs {len(runs)} job{'' if len(runs) == 1 else 's'}\n"]
    if worker.is_held:
        said.append("It fetches nothing else: a job that stalled before runs alone, or waits until the others ended.\n")
    for slot, job in runs:
        thread_id = threads.pop((job.id, job.token), None)
        if thread_id is not None:
            said.append(_describe_thread(job, thread_id))
        else:
            said.append(_describe_task(job, slot, tasks, executing))
    said += [_describe_thread(given_up[i], i, "given up, ") for i in threads.values() if i in given_up]
    return "".join(said)


def _describe(worker: Worker | None, executing: FrameType | None) -> str:
    if worker is None:
        return f"SIGUSR1: worker {os.getpid()} has not started\n"
    try:
        return describe_runs(worker, executing)
    except Exception:  # noqa: BLE001 - raised in a signal's handler, it would hit whatever runs at the moment
        return f"SIGUSR1: the running jobs cannot be shown\n{traceback.format_exc()}"


def _describe_thread(job: JobData, thread_id: int, state: str = "") -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = frames_since(frames_of_thread(thread_id), _CALLERS)
    return _title(job, f"{state}thread {names.get(thread_id, '?')!r} ({thread_id})") + format_frames(frames)


def _describe_task(job: JobData, slot: Slot, tasks: Sequence[TaskInfo], executing: FrameType | None) -> str:
    name = "" if slot.task is None else f"task {slot.task.name!r}"
    frames = frames_since(frames_of_awaitable(slot.coroutine, executing), _CALLERS)
    said = _title(job, name) + format_frames(frames)
    for depth, task in _below(slot.task, tasks):
        indent = "  " * depth
        said += f"{indent}task {task.name!r} of it:\n"
        said += format_frames(frames_of_awaitable(task.coro, executing), indent)
    return said


def _below(parent: TaskInfo | None, tasks: Sequence[TaskInfo], depth: int = 1) -> Iterator[tuple[int, TaskInfo]]:
    """Yield the tasks in the task groups of a handler, and how deep they are."""
    if parent is None:
        return
    for task in tasks:
        if task.parent_id == parent.id:
            yield depth, task
            yield from _below(task, tasks, depth + 1)


def _title(job: JobData, where: str) -> str:
    since = "" if job.started_at is None else f", since {job.started_at.isoformat(timespec='seconds')}"
    run = f"queue {job.queue_name!r}, name {job.name!r}, attempt {job.attempts_made + 1}"
    return f"\njob {job.id}, {run}{since}, {where}\n"


def _write(text: str) -> None:
    # Not through sys.stderr: what the signal interrupted may be in the middle of a write to it.
    rest = text.encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):  # nobody reads it, and nobody is left to be told
        while rest:
            rest = rest[os.write(_STDERR, rest) :]
