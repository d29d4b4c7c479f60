"""A trio run that a seed decides: which task goes first, when time jumps, and which process is not scheduled."""

from __future__ import annotations

import random
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import trio
import trio.testing
from trio._core import _run as trio_run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

__all__ = ["Freezer", "process_name", "run_seeded"]

# Inherited by every task that a process starts.
process_name: Final[ContextVar[str]] = ContextVar("process_name", default="")


class _Runnable(deque[Any]):
    """trio's queue of tasks that may run, which keeps those of frozen processes out of it."""

    def __init__(self, freezer: Freezer, tasks: deque[Any]) -> None:
        super().__init__(tasks)
        self._freezer = freezer

    def append(self, task: Any, /) -> None:
        """Take a task that may run, unless its process is frozen."""
        name = task.context.get(process_name, "")
        if name in self._freezer.frozen:
            self._freezer.frozen[name].append(task)
        else:
            super().append(task)


class Freezer:
    """Freezes processes as SIGSTOP does: nothing of them runs, not even a timer of theirs, until they are thawed."""

    def __init__(self) -> None:
        """Take hold of the trio run that is going on."""
        self.frozen: dict[str, list[Any]] = {}
        runner = trio_run.GLOBAL_RUN_CONTEXT.runner
        self._runnable = runner.runq = _Runnable(self, runner.runq)

    def freeze(self, name: str) -> None:
        """Stop scheduling a process."""
        frozen = self.frozen.setdefault(name, [])
        runnable = [task for task in self._runnable if task.context.get(process_name, "") == name]
        for task in runnable:
            self._runnable.remove(task)
        frozen += runnable

    def thaw(self, name: str) -> None:
        """Schedule it again: whatever became due meanwhile is late."""
        for task in self.frozen.pop(name, ()):
            self._runnable.append(task)


def run_seeded(seed: int, main: Callable[[], Awaitable[Any]]) -> None:
    """Run to the end; the same seed takes the same steps in the same order."""
    with _seeded(seed):
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    # trio has no public seed. This flag, which pytest-trio sets under hypothesis, has every batch of tasks sorted
    # before it is shuffled; the generator that shuffles is trio's own. The runtime draws from `random`.
    before = trio_run._ALLOW_DETERMINISTIC_SCHEDULING, trio_run._r.getstate(), random.getstate()
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc] # see above
    trio_run._r.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        trio_run._ALLOW_DETERMINISTIC_SCHEDULING = before[0]  # type: ignore[misc] # as it was
        trio_run._r.setstate(before[1])
        random.setstate(before[2])
