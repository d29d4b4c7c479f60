"""A worker process of the demo: ``python -m conveyor._cli.demo.work FOLDER --backend trio --concurrency 2``.

It ends when its standard input does: when the parent closes it, or dies.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
import warnings
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
import anyio.from_thread
import anyio.lowlevel

from conveyor._cli.demo.app import LOCK_SECONDS, STALLED_INTERVAL_SECONDS, make_app
from conveyor._cli.demo.folder import Folder
from conveyor._cli.demo.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

LONGEST_GOODBYE_SECONDS: Final = 5.0


def main() -> None:
    """Work until standard input ends."""
    parser = argparse.ArgumentParser(description="A worker process of `conveyor demo`.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--backend", choices=("asyncio", "trio"), required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # old files have much to warn of; what cannot be parsed is an error anyway
    anyio.run(partial(_work, Folder(arguments.folder), arguments.concurrency), backend=arguments.backend)


async def _work(folder: Folder, concurrency: int) -> None:
    ended = anyio.Event()
    tell = partial(anyio.from_thread.run_sync, ended.set, token=anyio.lowlevel.current_token())
    threading.Thread(target=_watch_parent, args=(tell,), name="parent watch", daemon=True).start()
    with Ledger(folder.ledger) as ledger:
        app = make_app(folder, ledger).app
        worker = app.worker(
            concurrency=concurrency,
            lock_duration=LOCK_SECONDS,
            stalled_interval=STALLED_INTERVAL_SECONDS,
            shutdown_grace=1,
        )
        async with app, worker:
            await ended.wait()


def _watch_parent(tell: Callable[[], object]) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    tell()
    # Whatever keeps the event loop busy, an orphan does not live on.
    time.sleep(LONGEST_GOODBYE_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
