"""Hints between processes: a datagram socket for each that listens, in a directory beside the database.

Whoever commits looks into the directory and writes to each socket there. A change that no datagram told of is
seen by SQLite's `data_version`, so a lost datagram costs a tenth of a second; or, where this process itself commits on
another connection all the time, which looks the same, a second.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import socket
import sqlite3
import tempfile
import threading
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from conveyor.model.events import Notification, NotificationKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Peers", "socket_directory"]

_LOOK_SECONDS: Final = 0.1
# How long what this process commits itself may hide what others do without a word.
_DOUBT_SECONDS: Final = 1.0
# A socket's path may have 108 bytes (104 elsewhere); its name takes 25 of them.
_LONGEST_DIRECTORY: Final = 75
_LARGEST_DATAGRAM: Final = 32_000
# A directory's mtime is only so fine: one that changed just now may change again without showing it.
_MTIME_SETTLES_NS: Final = 50_000_000
_ANYTHING: Final = (Notification(NotificationKind.ANYTHING),)
_STOP: Final = b""


class Peers:
    """Sends what was committed here to other processes, and hears what was committed there.

    `listen` and `close` are called on the event loop, `note_own_commit` on any thread, everything else on the writer
    thread.
    """

    def __init__(
        self,
        path: Path,
        on_heard: Callable[[Sequence[Notification]], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is opened before somebody listens or sends.

        Args:
            path: the database file.
            on_heard: called on any thread with what other processes published.
            monotonic: tells the time in seconds.
        """
        self._monotonic = monotonic
        self._directory = socket_directory(path)
        self._on_heard = on_heard
        self._own: Path | None = None
        self._inbox: socket.socket | None = None
        self._outbox: socket.socket | None = None
        self._peers: tuple[str, ...] = ()
        self._unreached: set[str] = set()
        self._directory_seen_ns = 0
        self._is_listening = False
        self._has_heard = False
        self._has_committed = False
        # When to say that something changed.
        self._tell_at = math.inf
        self._data_version: int | None = None
        self._looked_at = 0.0

    @property
    def wait_seconds(self) -> float | None:
        """How long the writer thread may sleep before it calls `look`; None: until somebody wakes it."""
        return _LOOK_SECONDS if self._is_listening or self._unreached else None

    def listen(self) -> None:
        """Hear other processes from now on."""
        self._is_listening = True
        if self._inbox is not None or not hasattr(socket, "AF_UNIX"):
            return
        own = self._directory / f"{os.getpid()}-{secrets.token_hex(8)}"
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            self._inbox = _bound(own)
        except OSError:
            return  # no sockets here: `data_version` alone has to do
        self._own = own
        threading.Thread(
            target=self._hear, args=(self._inbox,), name=f"conveyor-sqlite hints {own.name}", daemon=True
        ).start()

    def close(self) -> None:
        """Hear nothing more; the reading thread ends by itself."""
        self._is_listening = False
        inbox, own, self._inbox, self._own = self._inbox, self._own, None, None
        if inbox is None or own is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as farewell:
            farewell.setblocking(False)
            try:
                # The reading thread closes the socket: closing it here would not wake the thread.
                farewell.sendto(_STOP, str(own))
            except OSError:
                inbox.shutdown(socket.SHUT_RDWR)  # its queue is full, so it is not asleep
        own.unlink(missing_ok=True)
        # The last one out removes the directory; whoever is coming in just then has `data_version`.
        with suppress(OSError):
            self._directory.rmdir()

    def send(self, hints: Sequence[Notification]) -> None:
        """Tell the other processes that listen, as well as is possible at once."""
        for peer in self._current_peers():
            self._send(peer, _ANYTHING if peer in self._unreached else hints)

    def stop_sending(self) -> None:
        """Close the socket that sends."""
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None

    def note_own_commit(self) -> None:
        """Take note that this process commits on another connection than `look` is given; before it and after."""
        self._has_committed = True

    def look(self, connection: sqlite3.Connection) -> None:
        """Notice what other processes changed without a word, and tell those again that were too busy."""
        for peer in tuple(self._unreached):
            self._send(peer, _ANYTHING)
        now = self._monotonic()
        if not self._is_listening:
            self._data_version, self._tell_at = None, math.inf
            return
        if self._data_version is not None and now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        # First: what is noted from now on may explain what the next look sees.
        has_heard, self._has_heard = self._has_heard, False
        has_committed, self._has_committed = self._has_committed, False
        try:
            (version,) = connection.execute("pragma data_version").fetchone()
        except sqlite3.Error:
            return  # whoever uses the store next is told
        is_changed, self._data_version = self._data_version not in (None, version), version
        if is_changed and not has_heard:
            is_maybe_ours = has_committed or self._has_committed
            self._tell_at = min(self._tell_at, now + _DOUBT_SECONDS if is_maybe_ours else now)
        if now >= self._tell_at:
            self._tell_at = math.inf
            self._on_heard(_ANYTHING)

    def _hear(self, inbox: socket.socket) -> None:
        with inbox:
            while data := inbox.recv(2 * _LARGEST_DATAGRAM):
                self._has_heard = True
                self._on_heard(_unpack(data))

    def _current_peers(self) -> Sequence[str]:
        try:
            changed_ns = self._directory.stat().st_mtime_ns
            if changed_ns != self._directory_seen_ns:
                own = self._own
                self._peers = tuple(peer.name for peer in self._directory.iterdir() if peer != own)
                is_settled = time.time_ns() - changed_ns > _MTIME_SETTLES_NS
                self._directory_seen_ns = changed_ns if is_settled else 0
        except OSError:
            return ()  # nobody ever listened
        return self._peers

    def _send(self, peer: str, hints: Sequence[Notification]) -> None:
        self._unreached.discard(peer)
        target = self._directory / peer
        try:
            if self._outbox is None:
                self._outbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._outbox.setblocking(False)
            self._outbox.sendto(_pack(hints), str(target))
        except BlockingIOError:
            self._unreached.add(peer)
        except ConnectionRefusedError:
            target.unlink(missing_ok=True)  # its process is gone
        except OSError:
            self._directory_seen_ns = 0


def socket_directory(path: Path) -> Path:
    """Return where the sockets of a database file are: beside it, or with the temporary files if that is too long."""
    real = Path(os.path.realpath(path))
    beside = real.with_name(real.name + "-notify")
    if len(os.fsencode(beside)) <= _LONGEST_DIRECTORY:
        return beside
    return Path(tempfile.gettempdir()) / f"conveyor-{sha256(os.fsencode(real)).hexdigest()[:16]}"


def _bound(path: Path) -> socket.socket:
    inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        inbox.bind(str(path))
    except OSError:
        inbox.close()
        raise
    return inbox


def _pack(hints: Sequence[Notification]) -> bytes:
    data = json.dumps(hints).encode()
    return data if len(data) <= _LARGEST_DATAGRAM else json.dumps(_ANYTHING).encode()


def _unpack(data: bytes) -> Sequence[Notification]:
    try:
        return [Notification(NotificationKind(kind), queue, job_id) for kind, queue, job_id in json.loads(data)]
    except (ValueError, TypeError):
        return _ANYTHING  # written by another version
