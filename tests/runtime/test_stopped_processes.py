"""A process that was stopped for long (SIGSTOP, a suspended machine) has not hung: its watchdog lets it go on (P5)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Final

import pytest

LONGER_THAN_UNRESPONSIVE_SECONDS: Final = 2.5
PROGRAM: Final = """
import os, signal, threading
from conveyor._runtime.watchdog import Watchdog
from conveyor.model.worker_options import WorkerOptions

words = []
told = threading.Event()


def tell(word):
    words.append(word)
    told.set()


class Renewal:
    def renew(self, session_id, lock_duration):
        tell("renewed")
        return True

    def close(self):
        pass


options = WorkerOptions(lock_duration="1.5s", max_unresponsive="2s")
watchdog = Watchdog(Renewal(), "session", options, lambda: tell("given up"))
with watchdog.watching():
    # Nothing beats: the thread renews, so it is watching by now.
    told.wait()
    told.clear()
    watchdog.beat()
    os.kill(os.getpid(), signal.SIGSTOP)
    told.wait()
print(words[-1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGSTOP")
def test_a_process_that_was_stopped_for_long_is_not_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        os.waitpid(process.pid, os.WUNTRACED)
        time.sleep(LONGER_THAN_UNRESPONSIVE_SECONDS)
        process.send_signal(signal.SIGCONT)
        told, _ = process.communicate()
    assert told == "renewed\n"
