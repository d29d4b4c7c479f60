"""The connection that the writer thread writes with: to the file at the path, also after that was replaced."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from conveyor._builtin.sqlite.operations import roll_back
from conveyor.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from conveyor._builtin.sqlite.checkpoints import Checkpointer
    from conveyor._builtin.sqlite.watched_file import WatchedFile
    from conveyor.contracts.runtime import Logger

__all__ = ["WritingConnection"]

# A file that appears at the path may still be in the making: it is opened once it has not changed for so long.
SETTLES_SECONDS: Final = 1.0
_MOST_REMEMBERED: Final = 10_000
_MOST_NAMED: Final = 20


class WritingConnection:
    """Opens the file, leaves it when the path leads elsewhere, and opens what is there then. Writer thread only.

    Args of the constructor: `connect` opens the file, made where there is none if the store may; `prepare` brings
    the schema of a file that came in its place up to date, or refuses it; `on_opened` is told of each opening.
    """

    def __init__(
        self,
        file: WatchedFile,
        connect: Callable[[], sqlite3.Connection],
        *,
        prepare: Callable[[sqlite3.Connection], None],
        checkpointer: Checkpointer,
        logger: Logger,
        on_opened: Callable[[sqlite3.Connection], None],
    ) -> None:
        self._file = file
        self._connect = connect
        self._prepare = prepare
        self._checkpointer = checkpointer
        self._logger = logger
        self._on_opened = on_opened
        # None while the path leads nowhere, or to a file that may not be used yet.
        self.connection: sqlite3.Connection | None = None
        self._left_behind: Sequence[str] = ()
        self._seen: tuple[int, int, int] | None = None
        self._seen_at = 0.0

    def open(self) -> None:
        """Connect for the first time.

        Raises:
            sqlite3.Error, StoreError: the file cannot be used.
        """
        self._use(self._connect())

    def get(self) -> sqlite3.Connection:
        """Return the connection to the file at the path, opened anew if that is another one than before.

        Raises:
            StoreUnavailableError: there is none, or it may still be in the making.
            sqlite3.Error, StoreError: it cannot be used.
        """
        if self.connection is not None:
            if self._file.is_in_place:
                return self.connection
            self._leave(self.connection)
        return self._open_again()

    def look(self) -> None:
        """Do the same while nobody wants to write; whoever wants to next is told why there is none."""
        with suppress(StoreError, sqlite3.Error):
            self.get()

    def confirm(self) -> None:
        """Make sure that what was just committed stands in the file at the path.

        Raises:
            StoreUnavailableError: it does not: the file was replaced meanwhile.
        """
        self._file.note_used()
        self._file.check()

    def checkpoint(self) -> None:
        """Take a checkpoint if it is time."""
        try:
            if self.connection is not None:
                self._checkpointer.after_commit(self.connection)
        except (sqlite3.Error, OSError):
            return  # the log grows until it works; what is wrong with the disk, the next commit says

    def note_written(self, changes: int) -> None:
        """Count rows that another connection of this store changed, and take a checkpoint if it is time."""
        self._checkpointer.note_written(changes)
        try:
            if self.connection is not None:
                self._checkpointer.look(self.connection)
        except (sqlite3.Error, OSError):
            return  # as above

    def roll_back(self) -> None:
        """End a transaction that must not be committed, if there is one."""
        if self.connection is not None:
            roll_back(self.connection)

    def close(self) -> None:
        """Close it."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def _use(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._file.note_opened()
        self._on_opened(connection)

    def _leave(self, connection: sqlite3.Connection) -> None:
        self.connection = None
        roll_back(connection)
        self._left_behind = _live_ids(connection)
        # What stands in the log only goes into the file it belongs to, in case that was moved and not deleted.
        with suppress(sqlite3.Error, OSError):
            self._checkpointer.empty_log(connection)
        connection.close()
        self._file.note_left()
        self._logger.error("%s", self._file.not_in_place())

    def _open_again(self) -> sqlite3.Connection:
        if not self._has_settled():
            raise self._file.not_in_place()
        connection = self._connect()
        try:
            self._check_still_seen()
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._use(connection)
        self._tell_left_behind(connection)
        return connection

    def _check_still_seen(self) -> None:
        """Make sure that what was opened is what had settled."""
        if self._seen is None or self._file.path.stat().st_ino != self._seen[0]:
            raise self._file.not_in_place()

    def _has_settled(self) -> bool:
        try:
            found = self._file.path.stat()
        except OSError:
            self._seen = None
            return False
        seen = (found.st_ino, found.st_size, found.st_mtime_ns)
        if seen != self._seen:
            self._seen, self._seen_at = seen, time.monotonic()
        return time.monotonic() - self._seen_at >= SETTLES_SECONDS

    def _tell_left_behind(self, connection: sqlite3.Connection) -> None:
        lost = _missing(connection, self._left_behind)
        count = f"at least {len(lost)}" if len(self._left_behind) == _MOST_REMEMBERED else str(len(lost))
        if lost:
            named = ", ".join(lost[:_MOST_NAMED]) + (", …" if len(lost) > _MOST_NAMED else "")
            self._logger.warning(
                "going on with another file at %s; %s jobs that had not ended are not in it: %s",
                self._file.path,
                count,
                named,
            )
        else:
            self._logger.warning("going on with another file at %s; no live job is missing in it", self._file.path)
        self._left_behind = ()


def _live_ids(connection: sqlite3.Connection) -> Sequence[str]:
    """Return the jobs that have not ended, the newest first, as far as the file can still be read."""
    statement = (
        "select id from conveyor_jobs where seq in (select seq from conveyor_live order by seq desc limit ?) "
        "order by seq desc"
    )
    try:
        return [job_id for (job_id,) in connection.execute(statement, (_MOST_REMEMBERED,))]
    except sqlite3.Error:
        return ()


def _missing(connection: sqlite3.Connection, job_ids: Sequence[str]) -> Sequence[str]:
    statement = "select value from json_each(?) where value not in (select id from conveyor_jobs)"
    return [job_id for (job_id,) in connection.execute(statement, (json.dumps(list(job_ids)),))]
