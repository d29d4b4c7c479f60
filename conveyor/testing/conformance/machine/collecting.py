"""The rules of buffers: jobs are collected, and flushes take, commit, die and come back late."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import define, evolve
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from conveyor.errors import ConveyorError, LockLostError
from conveyor.model.buffers.values import FlushPlan
from conveyor.testing.conformance.machine.bench import MachineBench
from conveyor.testing.conformance.machine.draws import IDS, Description, End, descriptions, ends, ids, numbers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyio.from_thread import BlockingPortal

    from conveyor.contracts.store import BufferStore
    from conveyor.model.buffers.values import KeptJob
    from conveyor.model.job import NewJob
    from conveyor.model.locks import Lock
    from conveyor.model.queries import AddReceipt
    from conveyor.model.settlement import Settlement
    from conveyor.model.states import JobState
    from conveyor.testing.conformance.books import Books
    from conveyor.testing.conformance.workshop import Workshop

__all__ = ["BufferRules"]

BUFFERS: Final = ("crates", "boxes")
NO_TIME: Final = timedelta(0)
TAKEN_FOR: Final = timedelta(seconds=10)
UNITED: Final = b"[5]"
# What becomes of the jobs that a flush took: each goes on as it is; the first does the work of all, with its own
# arguments or with new ones; all fail.
FORMS: Final = ("each", "first", "united", "dead")

buffer_ids: st.SearchStrategy[str] = st.sampled_from((*BUFFERS[:1], *BUFFERS))


@define
class Flush:
    """One flush: its token, what it took, and its plan once that was committed."""

    buffer_id: str
    token: str
    kept: Sequence[KeptJob]
    plan: FlushPlan | None = None


class BufferRules(MachineBench):
    """What happens to jobs before they are any; without a capable store nothing is drawn."""

    books: Books | None

    def __init__(self, portal: BlockingPortal, workshop: Workshop) -> None:
        super().__init__(portal, workshop)
        self.flushes: list[Flush] = []

    async def empty(self) -> None:
        """Remove what the last example left in buffers, too."""
        await super().empty()
        if self.has_buffers:
            for job_id in await self.facet.find_places(IDS):
                await self.facet.remove_job(job_id)
            await self.facet.forget_merged(NO_TIME)

    def teardown(self) -> None:
        """Flush what is left, in another form from life to life."""
        if self.has_buffers:
            self.workshop.clock.advance(TAKEN_FOR.total_seconds())
            self.replace_hands()
            for number, buffer_id in enumerate(BUFFERS, len(self.flushes)):
                self.flush_some(buffer_id, FORMS[number % len(FORMS)], 9)
            self.ask(self.comparison.look())
        super().teardown()

    @property
    def facet(self) -> BufferStore:
        """The facet, which must be there."""
        assert self.workshop.store.buffers is not None, "nothing is drawn without buffers"
        return self.workshop.store.buffers

    @property
    def has_buffers(self) -> bool:
        """Whether the store has them."""
        return self.workshop.store.buffers is not None

    @property
    def collected(self) -> list[KeptJob]:
        """What is in the buffers."""
        return [one for buffer in self.reference.buffers.values() for one in buffer.kept]

    @initialize(buffer_id=buffer_ids, described=st.lists(descriptions, min_size=1, max_size=5))
    def begin_to_collect(self, buffer_id: str, described: list[Description]) -> None:
        if self.has_buffers:
            self.collect_some(buffer_id, described)
            self.take_some(buffer_id, 2)

    @precondition(lambda self: self.has_buffers)
    @rule(buffer_id=buffer_ids, described=st.lists(descriptions, min_size=1, max_size=3))
    def collect(self, buffer_id: str, described: list[Description]) -> None:
        self.collect_some(buffer_id, described)

    @precondition(lambda self: self.has_buffers)
    @rule(buffer_id=buffer_ids, limit=st.sampled_from((0, 1, 2, 9)))
    def take(self, buffer_id: str, limit: int) -> None:
        self.take_some(buffer_id, limit)

    @precondition(lambda self: self.has_buffers and self.flushes)
    @rule(number=numbers, limit=st.sampled_from((0, 1, 9)))
    def take_again(self, number: int, limit: int) -> None:
        """Take under a token that took before, maybe one that has lost what it took."""
        flush = self.flush_of(number)
        if flush.plan is None:
            flush.kept = self.compare_taken(flush.buffer_id, flush.token, limit)

    @precondition(lambda self: self.has_buffers and self.flushes)
    @rule(number=numbers, form=st.sampled_from(FORMS), most=st.sampled_from((1, 9, 9)))
    def flush(self, number: int, form: str, most: int) -> None:
        """Commit what was taken, or the first of it; what was committed before as it was then."""
        flush = self.flush_of(number)
        self.compare_commit(flush, flush.plan or _plan(form, flush.kept[:most]))

    @precondition(lambda self: self.has_buffers)
    @rule(buffer_id=buffer_ids, form=st.sampled_from(FORMS), limit=st.sampled_from((2, 9)))
    def flush_at_once(self, buffer_id: str, form: str, limit: int) -> None:
        self.flush_some(buffer_id, form, limit)

    @precondition(lambda self: self.has_buffers and self.flushes)
    @rule(number=numbers)
    def let_go(self, number: int) -> None:
        """Release what was taken, maybe by a flush that has nothing any more."""
        token = self.flush_of(number).token
        self.ask(self.facet.release(token))
        self.reference.release_take(token)

    @precondition(lambda self: self.has_buffers and self.collected)
    @rule(number=numbers, buffer_id=st.none() | buffer_ids)
    def collect_again(self, number: int, buffer_id: str | None) -> None:
        """Add a job that is in a buffer again: to a buffer, maybe another, or past all, as one who has none does."""
        job = self.collected[number % len(self.collected)].job
        if buffer_id is not None:
            assert list(self.ask(self.facet.add(buffer_id, [job]))) == self.reference.buffer(buffer_id, [job])
        elif job.id not in self.reference.ghosts():
            assert list(self.ask(self.workshop.jobs.save_jobs([job]))) == self.reference.save([job])

    @precondition(lambda self: self.has_buffers)
    @rule(id=ids, number=numbers, is_cancelled=st.booleans())
    def end_buffered(self, id: str, number: int, is_cancelled: bool) -> None:
        """Cancel or remove a job that is in a buffer, or not."""
        if number < len(self.collected):
            id = self.collected[number].job.id
        if id not in self.reference.ghosts():
            answer = self.ask(self._end_buffered(id, is_cancelled=is_cancelled))
            assert answer == self.reference.end_buffered(id, is_cancelled=is_cancelled)

    @precondition(lambda self: self.has_buffers)
    @rule(seconds=st.sampled_from((0, 5, 31)))
    def forget(self, seconds: int) -> None:
        """Forget where jobs went that went into others so long ago."""
        age = timedelta(seconds=seconds)
        assert self.ask(self.facet.forget_merged(age)) == self.reference.forget_merged(age)

    @precondition(lambda self: self.has_buffers and self.books is not None and self.locks)
    @rule(
        number=numbers,
        buffer_id=buffer_ids,
        described=st.lists(descriptions, min_size=1, max_size=2),
        end=st.none() | ends,
    )
    def collect_in(self, number: int, buffer_id: str, described: list[Description], end: End | None) -> None:
        """Put jobs into a buffer in a run's transaction, which is committed with the run's end or rolled back."""
        lock = self.lock(number)
        jobs = self.new_some(described)
        settlement = None if end is None else self.settlement(lock, end)
        answer = self.ask(self._collect_in(lock, buffer_id, jobs, settlement))
        if self.reference.held(lock) is None:
            assert answer is None
            return
        before = self.reference.snapshot()
        assert answer == self.reference.buffer(buffer_id, jobs)
        if settlement is None:
            self.reference.restore(before)
        else:
            assert self.reference.settle([settlement]) == []

    def collect_some(self, buffer_id: str, described: Sequence[Description]) -> None:
        """Put jobs into a buffer."""
        jobs = self.new_some(described)
        assert list(self.ask(self.facet.add(buffer_id, jobs))) == self.reference.buffer(buffer_id, jobs)

    def new_some(self, described: Sequence[Description]) -> list[NewJob]:
        """Return jobs to be collected; what no delay is kept as is the store's choice."""
        jobs = [self.new(*one) for one in self.free(described)]
        return [evolve(job, delay=job.delay or None) for job in jobs]

    def take_some(self, buffer_id: str, limit: int) -> Flush | None:
        """Begin a flush, unless there is nothing to be had; return it."""
        token = secrets.token_hex(8)
        kept = self.compare_taken(buffer_id, token, limit)
        if not kept:
            return None
        self.flushes.append(Flush(buffer_id, token, kept))
        return self.flushes[-1]

    def flush_some(self, buffer_id: str, form: str, limit: int) -> None:
        """Take, and commit what was taken."""
        flush = self.take_some(buffer_id, limit)
        if flush is not None:
            self.compare_commit(flush, _plan(form, flush.kept))

    def compare_commit(self, flush: Flush, plan: FlushPlan) -> None:
        """Commit a flush, and compare."""
        # What an id of those means is open; see `free`.
        if not self.reference.ghosts() & {job.id for job in plan.jobs}:
            answer = self.ask(self._commit(flush.token, plan))
            assert answer == self.reference.commit(flush.token, plan)
            flush.plan = plan if isinstance(answer, list) else None

    def compare_taken(self, buffer_id: str, token: str, limit: int) -> Sequence[KeptJob]:
        """Take, and compare what was given, in its order."""
        kept = list(self.ask(self.facet.take(buffer_id, token, TAKEN_FOR, limit=limit)))
        assert kept == self.reference.take(buffer_id, token, TAKEN_FOR, limit)
        return kept

    def flush_of(self, number: int) -> Flush:
        """Return one of the last flushes, of which there must be one."""
        return self.flushes[-1 - number % len(self.flushes)]

    async def _commit(self, token: str, plan: FlushPlan) -> list[AddReceipt] | str:
        try:
            return list(await self.facet.commit(token, plan))
        except ConveyorError as error:
            return type(error).__name__

    async def _end_buffered(self, job_id: str, *, is_cancelled: bool) -> JobState | str | None:
        if not is_cancelled:
            return "removed" if await self.facet.remove_job(job_id) else None
        try:
            job = await self.facet.cancel_job(job_id, "enough")
        except ConveyorError as error:
            return type(error).__name__
        return None if job is None else job.state

    async def _collect_in(
        self, lock: Lock, buffer_id: str, jobs: Sequence[NewJob], settlement: Settlement | None
    ) -> list[AddReceipt] | None:
        assert self.books is not None, "there are no transactions to add in"
        try:
            async with self.books.begun(lock) as transaction:
                added = await self.facet.add_in(transaction.connection, buffer_id, jobs)
                if settlement is not None:
                    await transaction.commit(settlement)
                return list(added)
        except LockLostError:
            return None


def _plan(form: str, kept: Sequence[KeptJob]) -> FlushPlan:
    jobs = [one.job for one in kept]
    taken = [job.id for job in jobs]
    if form in {"each", "dead"} or not jobs:
        return FlushPlan(taken, jobs, {}, failure="enough" if form == "dead" else None)
    first, *others = jobs
    merged = dict.fromkeys([job.id for job in others], first.id)
    if form == "first":
        return FlushPlan(taken, [first], merged)
    return FlushPlan(taken, [evolve(first, payload=UNITED)], merged | {first.id: first.id})
