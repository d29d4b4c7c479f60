"""The watchdog: a thread that keeps the locks while the event loop is blocked, and ends a process that hangs.

The lock renewer beats whenever the event loop lets it. While the beats come, the thread does nothing. When they
stop, user code is blocking the loop: the thread renews in its stead, with its own way to the store, so that a
job is not given away because its neighbour computes. When they stay away for `max_unresponsive`, the job must
not be kept for ever: the thread writes the stacks of all threads to stderr and ends the process. A handler that
computes on the loop may say that it has not hung: `JobContext.heartbeat`.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from conveyor.errors import StoreError
from conveyor.model.locks import renewal_interval_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conveyor.contracts.store.sessions import ThreadRenewal
    from conveyor.model.worker_options import WorkerOptions

__all__ = ["UNRESPONSIVE", "Watchdog"]

logger: Final = logging.getLogger("conveyor.worker")

# The exit code of a process that was ended because its event loop hung: "software" in sysexits.h.
UNRESPONSIVE: Final = 70


class Watchdog:
    """Watches one worker's event loop. Its times are those of ``time.monotonic``, which every thread can ask."""

    def __init__(
        self,
        renewal: ThreadRenewal,
        session_id: str,
        options: WorkerOptions,
        end_process: Callable[[], None] | None = None,
    ) -> None:
        """Bind to a session.

        Args:
            renewal: the thread's own way to the store.
            session_id: the session to keep.
            options: lock duration, and when to give up.
            end_process: what to do with a process that hangs; None: dump stacks and exit.
        """
        self._renewal = renewal
        self._session_id = session_id
        self._options = options
        self._end_process = end_process or _dump_and_exit
        self._interval_seconds = renewal_interval_seconds(options.lock_duration)
        self._beat_at = time.monotonic()
        self._alive_at = self._beat_at
        self._renewed_at: float | None = None
        self._stopped = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch for as long as the context is open."""
        thread = threading.Thread(target=self._watch, name="conveyor watchdog", daemon=True)
        self.beat()
        thread.start()
        try:
            yield
        finally:
            # Not joined: it may be inside a call to the store, and it touches nothing of ours any more.
            self._stopped.set()

    def beat(self) -> None:
        """Say that the event loop runs."""
        self._beat_at = time.monotonic()

    def note_life(self) -> None:
        """Say that what blocks the event loop has not hung; the locks are renewed from the thread all the same."""
        self._alive_at = time.monotonic()

    def take_renewal_age_seconds(self) -> float | None:
        """Return how long ago the thread last renewed, if it did since this was asked last."""
        renewed_at, self._renewed_at = self._renewed_at, None
        return None if renewed_at is None else time.monotonic() - renewed_at

    def _watch(self) -> None:
        with contextlib.closing(self._renewal):
            pause_seconds = self._interval_seconds / 2
            asked_at = time.monotonic()
            while not self._stopped.wait(pause_seconds):
                overslept_seconds = time.monotonic() - asked_at - pause_seconds
                asked_at = time.monotonic()
                if overslept_seconds > max(1.0, pause_seconds):
                    self.beat()  # not the loop but the whole process stood still: stopped, or suspended
                now = time.monotonic()
                silence_seconds = now - self._beat_at
                if now - max(self._beat_at, self._alive_at) >= self._options.max_unresponsive.total_seconds():
                    self._end_process()
                    return
                # The renewer beats every interval; a little later than that, it is overdue.
                if silence_seconds > self._interval_seconds * 1.25:
                    self._renew()

    def _renew(self) -> None:
        asked_at = time.monotonic()
        try:
            is_known = self._renewal.renew(self._session_id, self._options.lock_duration)
        except StoreError as exc:
            logger.warning("the event loop is blocked, and its locks could not be renewed: %s", exc)
            return
        if is_known:
            self._renewed_at = asked_at
            logger.warning("user code blocks the event loop; the locks of its jobs were renewed from a thread")


def _dump_and_exit() -> None:
    sys.stderr.write("conveyor: the event loop did not run for too long (max_unresponsive); ending this process.\n")
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    sys.stderr.flush()
    os._exit(UNRESPONSIVE)
