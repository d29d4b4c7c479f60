"""The connection to NATS, and the four things that are asked of it; all of it lives in the bridge's thread."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import nats.errors
import nats.js.errors
from attrs import frozen
from nats.aio.client import Client

from conveyor.errors import PayloadError, StoreError
from conveyor_plugin_nats.broker_errors import NO_MESSAGE, broker_errors, is_wrong_last_sequence
from conveyor_plugin_nats.naming import Kind, all_of_job, subject, word

if TYPE_CHECKING:
    from collections.abc import Callable

    from nats.js import JetStreamContext

    from conveyor.contracts.runtime import Logger
    from conveyor_plugin_nats.messages import Headers
    from conveyor_plugin_nats.options import NatsOptions

__all__ = ["Connection", "Kept", "StaleWriteError"]

RECONNECT_SECONDS: Final = 0.25
CLOSE_SECONDS: Final = 2
# JetStream refuses more: its own headers, and conveyor's two.
LONGEST_HEADERS: Final = 60_000
# Beside the bodies of jobs there must be room for why they failed: a dead letter has both.
RESERVED_BYTES: Final = 32_768
OLDEST_SERVER: Final = (2, 12)

EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_OF: Final = "Nats-Expected-Last-Subject-Sequence-Subject"


class StaleWriteError(Exception):
    """Something was written of a job that the writer had not seen, and so nothing was written."""


@frozen
class Kept:
    """The latest message of a job."""

    kind: Kind
    sequence: int
    headers: Headers
    body: bytes


class Connection:
    """A connection, and the stream that it is used for."""

    def __init__(self, options: NatsOptions, logger: Logger) -> None:
        """Describe a connection; `open` opens it."""
        self.options = options
        # Called when the server is there again, and has forgotten what was asked of it before.
        self.on_reconnect: list[Callable[[], None]] = []
        self.client = Client()
        self.jetstream: JetStreamContext = self.client.jetstream(timeout=options.timeout.total_seconds())
        self._logger = logger
        self._failure: Exception | None = None
        self._is_closing = False

    async def open(self) -> None:
        """Connect to a server.

        Raises:
            StoreUnavailableError: none can be reached.
            StoreError: it is too old, or refuses us.
        """
        options = self.options
        with broker_errors(options.shown):
            try:
                async with asyncio.timeout(options.connect_timeout.total_seconds()):
                    await self.client.connect(
                        list(options.servers),
                        name="conveyor",
                        error_cb=self._on_error,
                        disconnected_cb=self._on_lost,
                        reconnected_cb=self._on_back,
                        max_reconnect_attempts=-1,
                        reconnect_time_wait=RECONNECT_SECONDS,  # type: ignore[arg-type]  # it sleeps for so long
                        user_credentials=options.credentials,
                    )
            except TimeoutError as exc:
                raise (self._failure or exc) from None
        version = self.client.connected_server_version
        if (version.major, version.minor) < OLDEST_SERVER:
            await self.close()
            wanted = ".".join(map(str, OLDEST_SERVER))
            raise StoreError(
                f"NATS at {options.shown} is version {version}: delayed jobs and kept results need {wanted}"
            )

    async def _on_error(self, error: Exception) -> None:
        # A server that refuses us closes the connection, too: its reason is what to tell.
        if self._failure is None or not isinstance(error, OSError):
            self._failure = error
        self._logger.debug("NATS at %s: %s", self.options.shown, error)

    async def _on_lost(self) -> None:
        if not self._is_closing:
            self._logger.warning("NATS at %s: the connection is lost", self.options.shown)

    async def _on_back(self) -> None:
        self._logger.info("NATS at %s: connected again", self.options.shown)
        for tell in self.on_reconnect:
            tell()

    @property
    def most_bytes(self) -> int:
        """How large the payload of a job may be, with its headers."""
        return self.client.max_payload - min(RESERVED_BYTES, self.client.max_payload // 4)

    def check_size(self, headers: Headers, body: bytes, direction: str, job_id: str, *, name: str) -> None:
        """Raise PayloadError where the server would close the connection, or have no room for how the job ended."""
        of_headers = sum(len(key) + len(value) + 4 for key, value in headers.items())
        if of_headers > LONGEST_HEADERS:
            reason = f"{of_headers} bytes of them, {LONGEST_HEADERS} fit"
            raise PayloadError("options", "$", reason, name=name, job_id=job_id)
        if of_headers + len(body) > self.most_bytes:
            reason = (
                f"{len(body)} bytes are too many for this NATS server: its max_payload is {self.client.max_payload}, "
                f"and {self.most_bytes - of_headers} of them are free here"
            )
            raise PayloadError(direction, "$", reason, name=name, job_id=job_id)

    async def write(
        self, kind: Kind, queue_name: str, job_id: str, headers: Headers, body: bytes, *, after: int
    ) -> tuple[int, bool]:
        """Write a message of a job unless there is a later one of it; return its sequence, and whether it was known.

        Args:
            kind: what it is.
            queue_name: the job's queue.
            job_id: the job.
            headers: its headers.
            body: its body.
            after: the sequence of the latest message of the job that the writer has seen; 0: there is none.

        Raises:
            StaleWriteError: there is a later one.
            StoreUnavailableError: whether it was written is not known.
        """
        stream = self.options.stream
        fence = {EXPECTED: str(after), EXPECTED_OF: all_of_job(stream, word(job_id))}
        with broker_errors(self.options.shown):
            try:
                answer = await self.jetstream.publish(
                    subject(stream, kind, queue_name, job_id), body, stream=stream, headers={**headers, **fence}
                )
            except nats.js.errors.APIError as exc:
                if is_wrong_last_sequence(exc):
                    raise StaleWriteError from exc
                raise
        return answer.seq, bool(answer.duplicate)

    async def latest(self, job_id: str) -> Kept | None:
        """Return the latest message of a job, or None."""
        return await self.latest_of_word(word(job_id))

    async def latest_of_word(self, job_word: str) -> Kept | None:
        """Return the latest message of a job by its id as subjects have it, or None."""
        return await self._last(all_of_job(self.options.stream, job_word))

    async def subjects(self, pattern: str) -> list[str]:
        """Return the subjects that there are of a pattern."""
        found: list[str] = []
        while True:
            request = json.dumps({"subjects_filter": pattern, "offset": len(found)}).encode()
            told = await self._ask(f"$JS.API.STREAM.INFO.{self.options.stream}", request)
            page = list(told["state"].get("subjects") or ())
            found += page
            if not page or len(found) >= told.get("total", 0):
                return found

    async def get(self, kind: Kind, queue_name: str, job_id: str) -> Kept | None:
        """Return one message of a job, or None."""
        return await self._last(subject(self.options.stream, kind, queue_name, job_id))

    async def _last(self, wanted: str) -> Kept | None:
        with broker_errors(self.options.shown):
            try:
                found = await self.jetstream.get_last_msg(self.options.stream, wanted)
            except nats.js.errors.NotFoundError as exc:
                if exc.err_code != NO_MESSAGE:
                    raise
                return None
        if found.subject is None or found.seq is None:
            raise StoreError(f"NATS at {self.options.shown} returned a message without its subject: {found}")
        kind = Kind(found.subject.split(".")[1])
        return Kept(kind, found.seq, dict(found.headers or {}), found.data or b"")

    async def purge(self, kind: Kind, queue_name: str, job_id: str) -> int:
        """Remove a message of a job; return 1, or 0 where there is none."""
        return await self.purge_all(subject(self.options.stream, kind, queue_name, job_id))

    async def purge_all(self, pattern: str) -> int:
        """Remove every message of a pattern of subjects; return how many there were."""
        told = await self._ask(f"$JS.API.STREAM.PURGE.{self.options.stream}", json.dumps({"filter": pattern}).encode())
        count: int = told["purged"]
        return count

    async def _ask(self, verb: str, request: bytes) -> dict[str, Any]:
        """Call JetStream where the client's own method leaves out what is wanted."""
        with broker_errors(self.options.shown):
            answer = await self.client.request(verb, request, timeout=self.options.timeout.total_seconds())
            told: dict[str, Any] = json.loads(answer.data)
            if "error" in told:
                nats.js.errors.APIError.from_error(told["error"])
        return told

    async def close(self) -> None:
        """Send what is to be sent, and close, also where the server is gone.

        What cannot be sent are acknowledgements: their jobs have a record, and are acknowledged the next time.
        """
        self._is_closing = True
        for step in (partial(self.client.flush, timeout=CLOSE_SECONDS), self.client.close):
            try:
                await step()
            except (nats.errors.Error, OSError, TimeoutError, TypeError) as exc:
                # A TypeError is what asyncio of Python 3.13 answers whoever writes to a connection that was lost.
                self._logger.debug("NATS at %s: closing: %s", self.options.shown, exc)
