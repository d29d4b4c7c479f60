"""A session on a new SQLite file that kills its own process at a given statement: ``scripted_session FOLDER 3 14 15``.

Each number is a life of its own, forked from this warm process, on ``FOLDER/<number>.db``; what the store acknowledged
is in ``FOLDER/<number>.log``, one JSON line each. A life that reaches its end tells how many statements it took.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import anyio
from attrs import evolve

from conveyor.errors import BufferTakeLostError
from conveyor.model.batches.parts import NewBatchPart, PartStart
from conveyor.model.batches.status import BatchCommand
from conveyor.model.batches.values import BatchJobData, RowError
from conveyor.model.buffers.values import FlushPlan
from conveyor.model.job import LogEntry, Progress, ProgressReport
from conveyor.model.queries import Want
from conveyor.model.retention import Retention
from conveyor.model.settlement import Settlement
from conveyor.model.states import Command, JobState
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.batch_bench import RUN, bench_of
from conveyor.testing.conformance.books import Books
from conveyor.testing.conformance.schedules import spec_of
from conveyor.testing.conformance.workshop import LOCK, QUEUE, Hand, Workshop, ending, lock_of
from conveyor.testing.stores import open_store


class Witness:
    """Writes down what was acknowledged, so that it outlives the process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(self, **facts: Any) -> None:
        """Write one line, past every buffer of this process."""
        os.write(self._file, json.dumps(facts).encode() + b"\n")


class Session:
    """The script: every verb that writes, at least once."""

    def __init__(self, workshop: Workshop, witness: Witness) -> None:
        self.workshop = workshop
        self.witness = witness
        self.hand = Hand(workshop.store)

    async def run(self) -> None:
        """Go through the script."""
        await self.add("a0", "a1", "a2", "a3", "a4")
        for number in range(5, 9):
            await self.add(f"a{number}", priority=-number)
        await self.add("later", "much-later", delay=10)
        await self.add("elsewhere", queue="elsewhere")
        await self.hand.open()
        await self.settle_some()
        await self.write_some()
        await self.change_some()
        await self.stall_some()
        await self.expire_some()
        await self.sell_some()
        await self.outdate_some()
        await self.tick_some()
        await self.flush_some()
        await self.flush_late()
        await self.import_some()
        await self.divide_some()
        await self.remove_some()

    async def add(self, *job_ids: str, queue: str = QUEUE, priority: int = 0, delay: float = 0) -> None:
        await self.workshop.add(*job_ids, queue=queue, priority=priority, delay=delay)
        self.witness.tell(added=job_ids)

    async def settle(self, *settlements: Settlement) -> None:
        assert await self.workshop.settle(*settlements) == []
        self.tell_settled(settlements)

    def tell_settled(self, settlements: Iterable[Settlement]) -> None:
        self.witness.tell(settled=[(one.job_id, list(one.token), one.outcome) for one in settlements])

    async def settle_some(self) -> None:
        first, second, third, fourth = [lock_of(job) for job in await self.hand.fetch(4)]
        await self.settle(ending(first, Command.COMPLETE, result=b"1"))
        await self.settle(ending(second, Command.FAIL), ending(third, Command.RETRY))
        last = ending(fourth, Command.STOP)
        report = await self.hand.settle_and_fetch(last, Want(QUEUE, 2))
        self.tell_settled([last])
        await self.settle(*(ending(lock_of(job), Command.DELAY) for job in report.jobs))

    async def write_some(self) -> None:
        jobs = self.workshop.jobs
        lock = lock_of(await self.hand.fetch_one())
        await jobs.append_logs([LogEntry(lock.job_id, "hello", lock=lock), LogEntry(lock.job_id, "operator")])
        await jobs.set_progress([ProgressReport(lock, Progress(1, 2, "half"))])
        await jobs.extend_locks([lock], LOCK)
        await self.workshop.sessions.renew(self.hand.id, LOCK)
        await jobs.release_locks([lock])

    async def change_some(self) -> None:
        jobs, queues = self.workshop.jobs, self.workshop.queues
        await jobs.promote_job("later")
        await jobs.cancel_job("much-later", "enough")
        await jobs.rerun_job("much-later")
        await queues.pause_job_name(QUEUE, "ship")
        await queues.resume_job_name(QUEUE, "ship")
        self.workshop.clock.advance(20)
        await jobs.promote_delayed_jobs([QUEUE])
        await queues.retry_jobs(QUEUE, JobState.FAILED)

    async def stall_some(self) -> None:
        await self.hand.fetch(2)
        self.workshop.clock.advance(LOCK * 2)
        await self.workshop.jobs.reclaim_stalled_jobs(0, limit=1)
        await self.workshop.jobs.reclaim_stalled_jobs(3)

    async def outdate_some(self) -> None:
        await self.add("short-lived", "old", "older", queue="outdated")
        await self.hand.open()
        own, *others = await self.hand.fetch(queue="outdated")
        kept_no_longer = evolve(ending(lock_of(own), Command.COMPLETE, queue="outdated"), kept_for=LOCK)
        await self.settle(kept_no_longer, *(ending(lock_of(job), Command.FAIL, queue="outdated") for job in others))
        self.witness.tell(removing=["short-lived", "old"])
        self.workshop.clock.advance(LOCK)
        retention = Retention(max_age=None, max_count=1)
        assert await self.workshop.jobs.remove_outdated_jobs(["outdated"], retention) == 2

    async def tick_some(self) -> None:
        schedules = self.workshop.store.schedules
        assert schedules is not None
        overlaps = ("queue", "skip", "cancel")
        specs = [spec_of(self.workshop, overlap, queue="ticking", every=60, overlap=overlap) for overlap in overlaps]
        await schedules.upsert_schedules(specs)
        for _ in range(2):
            self.workshop.clock.advance(60)
            report = await schedules.fire_schedules()
            self.witness.tell(added=[tick.job_id for tick in report.ticks if tick.job_id])
        await schedules.pause_schedule("skip")
        await schedules.resume_schedule("skip")
        await schedules.run_schedule("queue", "queue@hand")
        self.witness.tell(added=["queue@hand"])

    async def flush_some(self) -> None:
        """Flush a buffer in two chunks: one is let go of first and gives a job other arguments, the other fails."""
        buffers = self.workshop.store.buffers
        assert buffers is not None
        jobs = {job_id: self.workshop.new(job_id, queue="flushed") for job_id in ("b0", "b1", "b2", "b3", "b4")}
        await buffers.add("b", [*jobs.values()])
        self.witness.tell(buffered=[*jobs])
        await buffers.take("b", "dead", LOCK, limit=3)
        await buffers.release("dead")
        await buffers.take("b", "first", LOCK, limit=3)
        united = evolve(jobs["b0"], payload=b"[0, 1]")
        await buffers.commit("first", FlushPlan(["b0", "b1", "b2"], [united, jobs["b2"]], {"b0": "b0", "b1": "b0"}))
        await buffers.take("b", "second", LOCK, limit=3)
        await buffers.commit("second", FlushPlan(["b3", "b4"], [jobs["b3"]], {"b4": "b3"}, failure="enough"))
        self.witness.tell(added=["b0", "b2", "b3"])

    async def flush_late(self) -> None:
        """Take a buffer whose flush comes back too late; cancel and remove jobs in it, and forget old traces."""
        buffers = self.workshop.store.buffers
        assert buffers is not None
        jobs = {job_id: self.workshop.new(job_id, queue="flushed") for job_id in ("c0", "c1", "c2", "c3", "c4")}
        await buffers.add("c", [*jobs.values()])
        self.witness.tell(buffered=[*jobs])
        await buffers.take("c", "slow", LOCK, limit=2)
        self.workshop.clock.advance(LOCK)
        await buffers.take("c", "quick", LOCK, limit=3)
        with suppress(BufferTakeLostError):
            await buffers.commit("slow", FlushPlan(["c0"], [evolve(jobs["c0"], payload=b"[9]")], {"c0": "c0"}))
        await buffers.commit("quick", FlushPlan(["c0", "c1"], [jobs["c0"]], {"c1": "c0"}))
        await buffers.cancel_job("c2", "enough")
        self.witness.tell(added=["c0", "c2"], removing=["c3"])
        await buffers.remove_job("c3")
        self.workshop.clock.advance(LOCK)
        self.witness.tell(removing=["b1", "b4", "c1"])
        assert await buffers.forget_merged(LOCK) == 4

    async def import_some(self) -> None:
        """Process a batch job in two steps, one of them with what it writes; pause it between; one is removed."""
        bench = bench_of(self.workshop, queue="batched")
        for name in ("one", "two"):
            self.tell_batch(await bench.create(name, identity=name))
            self.tell_batch(await bench.ask(BatchCommand.PRE_PROCESS, name, context=b"2"))
        self.tell_batch(await bench.ask(BatchCommand.CONFIRM, "one"))
        hand = Hand(self.workshop.store)
        await hand.open()
        lock = [lock_of(job) for job in await hand.fetch(queue="batched")][-1]
        self.tell_batch(await bench.ask(BatchCommand.START, "one"))
        await bench.save(bench.step(1, errors=(RowError(3, "bad", "too bad"),)), "one")
        self.tell_batch(await bench.get("one"))
        books = Books(self.workshop)
        async with books.begun(lock) as transaction:
            await transaction.connection.execute("create table rows_of_one (number integer)")
            await transaction.connection.execute("insert into rows_of_one values (11)")
            await transaction.commit_step("one", RUN, bench.step(2))
        for command in (BatchCommand.PAUSE, BatchCommand.STOP, BatchCommand.RESUME, BatchCommand.CANCEL):
            self.tell_batch(await bench.ask(command, "one"))
        self.tell_batch(await bench.ask(BatchCommand.CANCEL, "two"))
        self.witness.tell(removing=["two"])
        await bench.facet.remove_batch("two")
        await self.workshop.sessions.close(hand.id)

    async def divide_some(self) -> None:
        """Divide a batch job; one part changes its worker, and commits a step with what it writes."""
        bench = bench_of(self.workshop, queue="divided")
        parts = self.workshop.store.batch_parts
        assert parts is not None
        for batch in [await bench.create("three"), await bench.ask(BatchCommand.PRE_PROCESS, "three")]:
            self.tell_batch(batch)
        await bench.ask(BatchCommand.CONFIRM, "three")
        self.tell_batch(await bench.ask(BatchCommand.START, "three"))
        leader = str((await bench.get("three")).job_id)
        await parts.divide_batch("three", RUN, [NewBatchPart(1, b"1"), NewBatchPart(2, b"2", bench.job("part"))])
        await parts.start_part("three", PartStart(1, "first", leader, leader))
        await parts.start_part("three", PartStart(2, "lost", "part", "part"))
        await bench.save(bench.step(1, part=2, errors=(RowError(12, "bad", "too bad"),)), "three", run="lost")
        self.witness.tell(part=[2, 1])
        await parts.assign_part("three", RUN, 2, bench.job("heir"))
        await parts.start_part("three", PartStart(2, "second", "heir", "heir"))
        hand = Hand(self.workshop.store)
        await hand.open()
        books = Books(self.workshop)
        async with books.begun({job.id: lock_of(job) for job in await hand.fetch(queue="divided")}["heir"]) as begun:
            await begun.connection.execute("create table rows_of_three (number integer)")
            await begun.commit_step("three", "second", bench.step(2, part=2))
        self.witness.tell(part=[2, 2])
        await bench.save(bench.step(1, part=1), "three", run="first")
        self.witness.tell(part=[1, 1])
        await parts.end_part("three", 1, "first")
        await parts.end_part("three", 2, "second", error="broken")
        await parts.start_part("three", PartStart(2, "third", "heir", "heir"))
        await parts.end_part("three", 2, "third")
        self.tell_batch(await bench.ask(BatchCommand.COMPLETE_WITH_ERRORS, "three"))
        await self.workshop.sessions.close(hand.id)

    def tell_batch(self, batch: BatchJobData) -> None:
        self.witness.tell(batch=[batch.id, batch.revision])

    async def expire_some(self) -> None:
        await self.workshop.add("late", "too-late", expires=10)
        self.witness.tell(added=["late", "too-late"])
        self.workshop.clock.advance(10)
        assert await self.workshop.jobs.expire_jobs(limit=1) == 1
        await self.hand.open()
        await self.workshop.jobs.release_locks([lock_of(job) for job in await self.hand.fetch_suspects()])

    async def sell_some(self) -> None:
        """End runs with what they wrote: one is rolled back and handed back, the other commits."""
        books = Books(self.workshop)
        first, second = [lock_of(job) for job in await self.hand.fetch(2)]
        async with books.begun(first) as transaction:
            await transaction.connection.execute("create table if not exists books (title text)")
            await books.write(transaction.connection, first.job_id)
            await transaction.roll_back()
        await self.workshop.jobs.release_locks([first])
        async with books.begun(second) as transaction:
            await transaction.connection.execute("create table if not exists books (title text)")
            await books.write(transaction.connection, second.job_id)
            await self.workshop.jobs.save_jobs_in(transaction.connection, [self.workshop.new("with-it")])
            last = ending(second, Command.COMPLETE)
            await transaction.commit(last, [LogEntry(second.job_id, "sold", lock=second)])
        self.tell_settled([last])
        self.witness.tell(added=["with-it"], sold=[second.job_id])

    async def remove_some(self) -> None:
        await self.hand.open()
        job = await self.hand.fetch_one()
        self.witness.tell(removing=[job.id])
        await self.workshop.settle(ending(lock_of(job), Command.COMPLETE, is_removed=True))
        self.witness.tell(removing=["elsewhere"])
        await self.workshop.queues.obliterate("elsewhere")
        waiting = await self.workshop.queues.list_jobs(QUEUE, JobState.WAITING)
        self.witness.tell(removing=[waiting[0].id])
        await self.workshop.jobs.remove_job(waiting[0].id)
        self.witness.tell(removing=[job.id for job in waiting])
        await self.workshop.queues.drain(QUEUE)
        await self.workshop.sessions.close(self.hand.id)


def die_at(statement: int) -> count[int]:
    """Let every connection count its statements, and the one of this number be the last thing that happens."""
    statements = count(1)

    def trace(_: str) -> None:
        if next(statements) == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    connect = sqlite3.connect

    def connect_traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.set_trace_callback(trace)
        return connection

    sqlite3.connect = connect_traced  # type: ignore[assignment]  # for this process alone, and for its one purpose
    return statements


async def live(folder: Path, statement: int) -> None:
    """Run the script on a file of its own."""
    statements = die_at(statement)
    witness = Witness(folder / f"{statement}.log")
    clock = ManualClock()
    async with open_store(f"sqlite:///{folder / f'{statement}.db'}", clock=clock) as store:
        witness.tell(is_open=True)
        await Session(Workshop(store, clock), witness).run()
    witness.tell(statements=next(statements) - 1)


def main() -> None:
    """Live once for each number."""
    folder = Path(sys.argv[1])
    for statement in map(int, sys.argv[2:]):
        child = os.fork()
        if child == 0:
            anyio.run(live, folder, statement)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) and status:
            sys.exit(f"life {statement} ended with {status}")


if __name__ == "__main__":
    main()
