"""Runs: what a delivery may write, and in which order; lives in the bridge's thread.

JetStream lets whoever was given a message acknowledge it, however long ago that was. So each write of a run goes to
the stream first, on condition that nothing later is known of the job than what the run has seen: the server refuses
that of a run whose job was given to somebody else. Only after it the message is acknowledged. A crash between the two
is found by the next delivery, which sees the end that was written.
"""

from __future__ import annotations

import json
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import define, evolve

from conveyor.errors import LockLostError, PayloadError
from conveyor.model.job import ErrorInfo, JobData, error_info, expired
from conveyor.model.states import SETTLED_STATES, Command, JobState
from conveyor_plugin_nats.connection import StaleWriteError
from conveyor_plugin_nats.messages import JOB, Record, job_of, record_of, shortened, ttl
from conveyor_plugin_nats.naming import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nats.aio.msg import Msg

    from conveyor.contracts.clock import Clock
    from conveyor.contracts.runtime import Logger
    from conveyor.model.settlement import Settlement
    from conveyor_plugin_nats.connection import Connection, Kept

__all__ = ["Run", "begin"]

NANOSECONDS: Final = 10**9
# How far the server's clock and this one may be apart when a delay ends.
EARLY: Final = timedelta(seconds=1)
_ENDS: Final[Mapping[Command, JobState]] = {
    Command.COMPLETE: JobState.COMPLETED,
    Command.FAIL: JobState.FAILED,
    Command.GIVE_UP: JobState.FAILED,
    Command.STOP: JobState.CANCELLED,
}


@define
class Run:
    """One delivery that is to be run, or is running.

    Attributes:
        message: what JetStream delivered.
        job: the job, as the delivery found it.
        fence: the sequence of the latest message of the job that this run has seen.
        record: what is known of the runs before; `writer` is this run.
        has_record: whether the stream has a record of a run, which is to go when the job ends.
    """

    connection: Connection
    clock: Clock
    logger: Logger
    message: Msg
    job: JobData
    fence: int
    record: Record
    has_record: bool = False

    async def settle(self, settlement: Settlement) -> None:
        """Write how the job ended, and acknowledge its message; see `Delivery.settle`."""
        end = evolve(
            self.record,
            state=_ENDS[settlement.command],
            attempts_made=self.record.attempts_made + settlement.is_counted,
            at=self.clock.now(),
            error=shortened(settlement.error),
        )
        result = settlement.result or b""
        if end.state is JobState.COMPLETED:
            try:
                self.connection.check_size(end.headers(self._header), result, "result", self.job.id, name=self.job.name)
            except PayloadError as exc:
                self.logger.warning("job %s completed, and fails for its result: %s", self.job.id, exc)
                end = evolve(end, state=JobState.FAILED, error=shortened(error_info(exc)))
        await self.end(end, result, self._kept_for(end, settlement))

    async def end(self, end: Record, result: bytes, kept_for: timedelta) -> None:
        """Write an end and acknowledge the message.

        Raises:
            LockLostError: something later is known of the job.
        """
        kind = Kind.DEAD if end.state is JobState.FAILED else Kind.DONE
        await self._write(kind, end, self.job.payload if kind is Kind.DEAD else result, kept_for)
        await self.finish()

    async def hand_back(self, delay: timedelta, *, is_counted: bool) -> None:
        """Write that the run ended, and let the message be delivered again; see `Delivery.hand_back`."""
        now = self.clock.now()
        record = evolve(
            self.record,
            state=JobState.DELAYED if delay else JobState.WAITING,
            attempts_made=self.record.attempts_made + is_counted,
            ends=self.record.ends + 1,
            at=now,
            due_at=now + delay if delay else None,
        )
        await self._write(Kind.RUN, record, b"")
        await self.refuse(delay)

    async def extend(self) -> None:
        """Keep the message if nothing later is known of the job; see `Delivery.extend`."""
        latest = await self.connection.latest(self.job.id)
        if latest is None or latest.sequence != self.fence or not _is_running(latest):
            raise self._lost()
        await self._answer(b"+WPI")

    async def claim(self) -> None:
        """Write that the run begins, so that the one before can write no more.

        Raises:
            LockLostError: it did, or another has begun since.
        """
        await self._write(Kind.RUN, evolve(self.record, state=JobState.ACTIVE, at=self.clock.now()), b"")

    async def finish(self) -> None:
        """Do what remains once the end is written: remove the record of the runs, and acknowledge."""
        if self.has_record:
            await self.connection.purge(Kind.RUN, self.job.queue_name, self.job.id)
        await self._answer(b"+ACK")

    async def refuse(self, delay: timedelta) -> None:
        """Let the message be delivered again after a while."""
        wait = json.dumps({"delay": int(delay.total_seconds() * NANOSECONDS)}).encode()
        await self._answer(b"-NAK " + wait if delay else b"-NAK")

    @property
    def _header(self) -> str:
        return (self.message.headers or {})[JOB]

    def _kept_for(self, end: Record, settlement: Settlement) -> timedelta:
        options = self.connection.options
        if settlement.is_removed:
            # For as long as the same add may be repeated, or an earlier run may come late.
            return options.lock_duration * 2
        kept = options.keep_failed if end.state is JobState.FAILED else options.keep_completed
        return kept if settlement.kept_for is None else settlement.kept_for

    async def _write(self, kind: Kind, record: Record, body: bytes, kept_for: timedelta | None = None) -> None:
        headers = record.headers(self._header)
        if kept_for is not None:
            headers |= ttl(kept_for)
        job = self.job
        try:
            self.fence, _ = await self.connection.write(kind, job.queue_name, job.id, headers, body, after=self.fence)
        except StaleWriteError:
            self.fence = await self._own_write(record)
        self.has_record = self.has_record or kind is Kind.RUN

    async def _own_write(self, record: Record) -> int:
        """Return the sequence of what this run wrote before, and had no answer to."""
        latest = await self.connection.latest(self.job.id)
        known = None if latest is None else record_of(latest.headers)
        if latest is None or known is None or (known.writer, known.state) != (record.writer, record.state):
            raise self._lost()
        return latest.sequence

    def _lost(self) -> LockLostError:
        return LockLostError(self.record.writer, job_id=self.job.id, queue_name=self.job.queue_name)

    async def _answer(self, answer: bytes) -> None:
        # Not by the message's own methods, which refuse to repeat themselves.
        await self.connection.client.publish(self.message.reply, answer)


def _is_running(latest: Kept) -> bool:
    record = record_of(latest.headers)
    return record is None or record.state is JobState.ACTIVE


async def begin(message: Msg, connection: Connection, clock: Clock, logger: Logger) -> Run | None:
    """Return the run of a message that was delivered; None where there is nothing to run, and all is done for it."""
    headers, delivered = message.headers or {}, message.metadata
    if JOB not in headers:
        logger.error("a message of %s is no job of conveyor, and is left out", message.subject)
        await connection.client.publish(message.reply, b"+TERM")
        return None
    job = job_of(headers, message.data, JobState.ACTIVE)
    run = Run(
        connection,
        clock,
        logger,
        message,
        job,
        fence=delivered.sequence.stream,
        record=Record(JobState.ACTIVE, writer=secrets.token_hex(16)),
    )
    if not await _is_next(run, delivered.num_delivered):
        return None
    end = _end_before_run(run)
    if end is None:
        return run
    kept_for = connection.options.keep_failed if end.state is JobState.FAILED else connection.options.keep_completed
    try:
        await run.end(end, b"", kept_for)
    except LockLostError:
        logger.debug("job %s was to end as %s, and somebody else has seen to it", job.id, end.state)
    return None


def _end_before_run(run: Run) -> Record | None:
    """Return how a job ends that is not to be run any more; None: it is to be run."""
    job, now, most = run.job, run.clock.now(), run.connection.options.max_stalled
    if job.stalled_count > most:
        reason = f"its worker died {job.stalled_count} times, more often than max_stalled={most}"
        return evolve(run.record, state=JobState.FAILED, at=now, error=ErrorInfo("Stalled", reason))
    if job.expires_at is not None and job.expires_at <= now:
        return evolve(run.record, state=JobState.CANCELLED, at=now, error=expired(job.expires_at))
    return None


async def _is_next(run: Run, times: int) -> bool:
    """Catch up with what earlier deliveries left, and return whether this one is to be run.

    The first delivery looks, too: a server that crashed may have forgotten those before it.
    """
    latest = await run.connection.latest(run.job.id)
    if latest is None:
        return False
    run.fence = latest.sequence
    run.has_record = latest.kind is not Kind.JOB
    known = record_of(latest.headers)
    if known is not None:
        run.record = evolve(run.record, attempts_made=known.attempts_made, ends=known.ends)
        if known.state in SETTLED_STATES:
            await run.finish()
            return False
        if known.due_at is not None and (early_by := known.due_at - run.clock.now()) > EARLY:
            await run.hand_back(early_by, is_counted=False)
            return False
    elif times == 1:
        return True
    run.job.attempts_made = run.record.attempts_made
    run.job.stalled_count = max(0, times - 1 - run.record.ends)
    try:
        await run.claim()
    except LockLostError:
        return False
    return True
