"""POSIX signals: the first asks for a graceful stop, the second cancels, the third ends the process."""

from __future__ import annotations

import logging
import os
import signal
from typing import TYPE_CHECKING, Final

import anyio
import anyio.abc

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["INTERRUPTED", "watch_signals"]

logger: Final = logging.getLogger("conveyor.worker")

INTERRUPTED: Final = 130


async def watch_signals(
    stop: Callable[[], None], cancel: Callable[[], None], *, task_status: anyio.abc.TaskStatus[None]
) -> None:
    """Listen for SIGINT and SIGTERM until cancelled. Works in the main thread only."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        count = 0
        async for received in signals:
            count += 1
            name = signal.Signals(received).name
            if count == 1:
                logger.info("%s: stopping; running jobs may end. Once more cancels them", name)
                stop()
            elif count == 2:
                logger.warning("%s again: cancelling; running jobs are handed back. Once more exits at once", name)
                cancel()
            else:
                os._exit(INTERRUPTED)
