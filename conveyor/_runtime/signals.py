"""POSIX signals: the first asks for a graceful stop, the second cancels, the third ends the process."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

import anyio
import anyio.abc

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INTERRUPTED", "watch_signals"]

INTERRUPTED: Final = 130


async def watch_signals(
    stop: Callable[[str], None], cancel: Callable[[str], None], *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    """Listen for SIGINT and SIGTERM until cancelled. Works in the main thread only.

    Args:
        stop: called with the name of the first signal.
        cancel: called with the name of the second.
        task_status: told once signals are caught.
    """
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        count = 0
        async for received in signals:
            count += 1
            name = signal.Signals(received).name
            if count == 1:
                stop(name)
            elif count == 2:
                cancel(name)
            else:
                os._exit(INTERRUPTED)
