"""POSIX signals: the first asks for a graceful stop, the second cancels, the third ends the process."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio
import anyio.abc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["INTERRUPTED", "watch_signals"]

INTERRUPTED: Final = 130
_WATCHED: Final = (signal.SIGINT, signal.SIGTERM)


async def watch_signals(
    stop: Callable[[str], None], cancel: Callable[[str], None], *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    """Listen for SIGINT and SIGTERM until cancelled. Works in the main thread only.

    The third ends the process also while a handler blocks the event loop, unless a call into C keeps the main thread.

    Args:
        stop: called with the name of the first signal.
        cancel: called with the name of the second.
        task_status: told once signals are caught.
    """
    with anyio.open_signal_receiver(*_WATCHED) as signals, _counting() as names:
        task_status.started()
        told = 0
        async for _ in signals:
            # The receiver may wake us once for several of them.
            for name in names[told:]:
                told += 1
                (stop if told == 1 else cancel)(name)


@contextmanager
def _counting() -> Iterator[list[str]]:
    """Give the names of the signals that came, counted where each arrives: a loop that is blocked counts none."""
    names: list[str] = []
    receivers = {number: signal.getsignal(number) for number in _WATCHED}

    def count(number: int, frame: FrameType | None) -> None:
        names.append(signal.Signals(number).name)
        if len(names) > 2:
            os._exit(INTERRUPTED)
        receiver = receivers[signal.Signals(number)]
        if callable(receiver):
            # The event loop's own: it wakes the loop, if that can be woken.
            receiver(number, frame)

    for number in _WATCHED:
        signal.signal(number, count)
    try:
        yield names
    finally:
        for number, receiver in receivers.items():
            signal.signal(number, receiver)
