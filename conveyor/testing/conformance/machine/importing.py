"""The rules of batch jobs: people ask, runs begin, step, divide and die, and records are removed."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from conveyor.errors import ConveyorError, LockLostError
from conveyor.model.batches.parts import NewBatchPart, PartStart
from conveyor.model.batches.status import ENDED_STATUSES, TRANSITIONS, BatchCommand
from conveyor.model.batches.values import BatchChange, BatchStep, NewBatchJob, RowError, RowOutcome
from conveyor.testing.conformance.emptying import remove_batches
from conveyor.testing.conformance.machine.bench import MachineBench
from conveyor.testing.conformance.machine.draws import BATCHES, IDS, QUEUES, numbers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from anyio.from_thread import BlockingPortal

    from conveyor.contracts.store import BatchPartStore, BatchStore
    from conveyor.model.batches.parts import BatchPart
    from conveyor.model.batches.status import BatchStatus
    from conveyor.model.job import NewJob
    from conveyor.model.locks import Lock
    from conveyor.testing.conformance.books import Books
    from conveyor.testing.conformance.machine.batching import ReferenceBatch
    from conveyor.testing.conformance.workshop import Workshop

__all__ = ["BatchRules"]

T = TypeVar("T")

TYPES: Final = ("import", "import", "export")
NO_RUN: Final = "run-of-nobody"
PARTS: Final = 2

batch_ids: st.SearchStrategy[str] = st.sampled_from((*BATCHES[:1], *BATCHES))
# One of those that are there, or the last that may be.
places: st.SearchStrategy[int] = st.integers(0, 6)
# Whose run it is that asks: the present one, most of the time.
askers: st.SearchStrategy[str] = st.sampled_from(("run", "run", "run", "people", "zombie"))
# The id of a job that comes along: one of its own, or one that other jobs may have.
work_ids: st.SearchStrategy[str | None] = st.sampled_from((*[None] * 12, *IDS[:2]))


class BatchRules(MachineBench):
    """What happens to batch jobs; without a capable store nothing is drawn."""

    books: Books | None

    def __init__(self, portal: BlockingPortal, workshop: Workshop) -> None:
        super().__init__(portal, workshop)
        self.asked: list[tuple[str, BatchChange]] = []
        self.made: int = 0

    def teardown(self) -> None:
        """Bring to an end what is left, and compare once more."""
        for batch_id, batch in self.reference.batches.items():
            for part in list(batch.parts.values()):
                self.start_some(batch_id, PartStart(part.number, self.next_name("run"), "heir", part.job_id))
                self.step_some(batch_id, part.number - 1, "run", is_again=False)
                self.end_some(batch_id, part.number - 1, "run", None)
            self.step_some(batch_id, 0, "run", is_again=False)
            self.change(batch_id, BatchCommand.COMPLETE, "people")
        self.ask(self.comparison.look())
        super().teardown()

    async def empty(self) -> None:
        """Remove what the last example left of batch jobs, too."""
        await super().empty()
        await remove_batches(self.workshop.store.batches)

    @property
    def batches(self) -> BatchStore:
        """The facet, which must be there."""
        assert self.workshop.store.batches is not None, "nothing is drawn without batches"
        return self.workshop.store.batches

    @property
    def parts(self) -> BatchPartStore:
        """The facet of parts, which must be there."""
        assert self.workshop.store.batch_parts is not None, "nothing is drawn without batch parts"
        return self.workshop.store.batch_parts

    @property
    def has_batches(self) -> bool:
        """Whether the store has them."""
        return self.workshop.store.batches is not None

    @property
    def has_divided(self) -> bool:
        """Whether some batch job has parts."""
        return any(batch.parts for batch in self.reference.batches.values())

    @initialize(is_divided=st.booleans(), identity=st.sampled_from((None, "red")))
    def begin_to_import(self, is_divided: bool, identity: str | None) -> None:
        """Begin with a batch job that is processed: most of what can go wrong has to do with runs."""
        if self.has_batches:
            batch_id = BATCHES[0]
            self.create_some(batch_id, TYPES[0], identity, None)
            for command in (BatchCommand.PRE_PROCESS, BatchCommand.CONFIRM, BatchCommand.START):
                self.change(batch_id, command, "people")
            if is_divided and self.workshop.store.batch_parts is not None:
                self.divide_some(batch_id, "run", None)

    @precondition(lambda self: self.has_batches)
    @rule(
        batch_id=batch_ids,
        batch_type=st.sampled_from(TYPES),
        identity=st.sampled_from((None, "red", "red")),
        work_id=work_ids,
    )
    def create(self, batch_id: str, batch_type: str, identity: str | None, work_id: str | None) -> None:
        self.create_some(batch_id, batch_type, identity, work_id)

    @precondition(lambda self: self.has_batches)
    @rule(place=places, number=st.integers(0, 11), asker=askers, work_id=work_ids)
    def ask_for(self, place: int, number: int, asker: str, work_id: str | None) -> None:
        """Ask for what is legal in the status, or for anything."""
        batch_id = self.pick(place)
        batch = self.reference.batches.get(batch_id)
        legal = [] if batch is None else sorted(TRANSITIONS[batch.data.status])
        commands = legal if legal and number < 9 else sorted(BatchCommand)
        self.change(batch_id, commands[number % len(commands)], asker, work_id)

    @precondition(lambda self: self.has_batches and self.asked)
    @rule(number=numbers)
    def ask_again(self, number: int) -> None:
        """Ask for the same again, as after a lost answer."""
        batch_id, change = self.asked[-1 - number % len(self.asked)]
        self.compare(self.batches.change_batch(batch_id, change), self.reference.change_batch(batch_id, change))

    @precondition(lambda self: self.has_batches)
    @rule(place=places, number=numbers, asker=askers, is_again=st.booleans())
    def step(self, place: int, number: int, asker: str, is_again: bool) -> None:
        """Save a step of a run, or the last one again."""
        self.step_some(self.pick(place), number, asker, is_again=is_again)

    @precondition(lambda self: self.has_batches)
    @rule(place=places, number=numbers, is_mine=st.booleans())
    def look_at_rows(self, place: int, number: int, is_mine: bool) -> None:
        """Keep bad rows that were found before anything is processed."""
        batch_id = self.pick(place)
        batch = self.reference.batches.get(batch_id)
        job_id = str(batch.data.job_id) if batch is not None and is_mine else "another"
        asked = batch_id, job_id, [RowError(number + 1, "bad", self.next_name("found"))]
        self.compare(self.batches.save_errors(*asked), self.reference.save_errors(*asked))

    @precondition(lambda self: self.has_batches and self.books is not None and self.locks)
    @rule(place=places, number=numbers, asker=askers, is_again=st.booleans())
    def step_in(self, place: int, number: int, asker: str, is_again: bool) -> None:
        """Commit a step with a row that was written in the same transaction."""
        batch_id = self.pick(place)
        lock = self.lock(number)
        run, step = self.next_step(batch_id, number, asker, is_again=is_again)
        row = f"{len(self.reference.written):04}"
        answer = self.ask(self._step_in(lock, row, batch_id, run, step))
        if self.reference.held(lock) is None:
            assert answer == "LockLostError"
            return
        before = self.revision(batch_id)
        assert answer == self.reference.save_step(batch_id, run, step)
        self.reference.written += [row] if self.revision(batch_id) != before else []

    @precondition(lambda self: self.workshop.store.batch_parts is not None)
    @rule(place=places, asker=askers, work_id=work_ids)
    def divide(self, place: int, asker: str, work_id: str | None) -> None:
        batch_id = self.pick(place)
        self.divide_some(batch_id, asker, work_id)

    @precondition(lambda self: self.has_divided)
    @rule(place=places, number=numbers, asker=askers, is_mine=st.booleans())
    def start_part(self, place: int, number: int, asker: str, is_mine: bool) -> None:
        """Begin the run of a part, for the job that works for it or for another, and save a step."""
        batch_id = self.pick(place)
        part = self.part_of(batch_id, number)
        job_id = "a" if part is None else part.job_id
        run = part.run if asker == "zombie" and part is not None and part.run else self.next_name("run")
        self.start_some(batch_id, PartStart(_part_number(number), run, job_id, job_id if is_mine else "a"))
        self.step_some(batch_id, number, asker, is_again=False)

    @precondition(lambda self: self.has_divided)
    @rule(place=places, number=numbers, asker=askers, error=st.sampled_from((None, None, "broken")))
    def end_part(self, place: int, number: int, asker: str, error: str | None) -> None:
        """End the run of a part."""
        self.end_some(self.pick(place), number, asker, error)

    @precondition(lambda self: self.has_divided)
    @rule(place=places, number=numbers, asker=askers, work_id=work_ids)
    def assign_part(self, place: int, number: int, asker: str, work_id: str | None) -> None:
        """Let another job work for a part."""
        batch_id = self.pick(place)
        asked = batch_id, self.run_of(batch_id, asker), _part_number(number), self.work(work_id)
        self.compare(self.parts.assign_part(*asked), self.reference.assign_part(*asked))

    @precondition(lambda self: self.has_batches)
    @rule(place=places)
    def remove_record(self, place: int) -> None:
        batch_id = self.pick(place)
        self.compare(self.batches.remove_batch(batch_id), self.reference.remove_batch(batch_id))

    @precondition(lambda self: self.has_batches)
    @rule(
        age=st.sampled_from((None, 5, 40)),
        most=st.sampled_from((None, 0, 1)),
        limit=st.sampled_from((1, 9)),
    )
    def remove_ended(self, age: int | None, most: int | None, limit: int) -> None:
        """Remove what is to be kept no longer, unless it is open which of those that ended at one moment goes first."""
        batches = [batch.data for batch in self.reference.batches.values()]
        ends = [batch.updated_at for batch in batches if batch.status in ENDED_STATUSES]
        if len(set(ends)) == len(ends):
            span = None if age is None else timedelta(seconds=age)
            removed = self.ask(self.batches.remove_ended(span, most=most, limit=limit))
            assert list(removed) == self.reference.remove_ended(span, most, limit)

    @invariant()
    def stands_where_its_parts_do(self) -> None:
        """Look whether the numbers of batch jobs add up: the reference takes them from the model."""
        for batch in self.reference.batches.values():
            steps = [line.after for line in batch.data.history]
            assert steps[-1] is batch.data.status
            assert [line.before for line in batch.data.history] == [None, *steps[:-1]]
            if batch.parts:
                parts = batch.parts.values()
                counts = sum((Counter(part.counts) for part in parts), Counter[RowOutcome]())
                done = sum(part.done for part in parts), sum(part.is_done for part in parts)
                assert (batch.data.done, batch.data.parts_done, Counter(batch.data.counts)) == (*done, counts)

    def pick(self, place: int) -> str:
        """Return the id of a batch job that is there, where there is any; for the last place one that may not be."""
        there = [*self.reference.batches] if place < 6 else []
        return there[place % len(there)] if there else BATCHES[-1]

    def create_some(self, batch_id: str, batch_type: str, identity: str | None, work_id: str | None) -> None:
        """Create a batch job, maybe one that is there."""
        new = NewBatchJob(batch_id, batch_type, b"1", identity=identity)
        job = self.work(work_id or f"{batch_id}-pre")
        self.compare(self.batches.create_batch(new, job), self.reference.create_batch(new, job))

    def change(self, batch_id: str, command: BatchCommand, asker: str, work_id: str | None = None) -> None:
        """Change a batch job, in the name of somebody."""
        batch = self.reference.batches.get(batch_id)
        run: str | None = None if asker == "people" else self.run_of(batch_id, asker)
        change = BatchChange(self.next_name("change"), command, run=run, job=self.work(work_id))
        if command is BatchCommand.START:
            job_id = "nobody" if asker == "zombie" or batch is None else batch.data.job_id
            change = evolve(change, run=self.next_name("run"), if_job_id=job_id)
        elif command is BatchCommand.PRE_PROCESS:
            change = evolve(change, context=b"[2]", total=self.made)
        elif command in {BatchCommand.FAIL, BatchCommand.INTERRUPT}:
            change = evolve(change, error="broken", is_retry=True, by="somebody", reason="why not")
        self.asked.append((batch_id, change))
        self.compare(self.batches.change_batch(batch_id, change), self.reference.change_batch(batch_id, change))

    def divide_some(self, batch_id: str, asker: str, work_id: str | None) -> None:
        """Divide a batch job: its own job works for the first part, another for the second."""
        run = self.run_of(batch_id, asker)
        new = [NewBatchPart(1, b"[1]"), NewBatchPart(PARTS, b"[2]", self.work(work_id))]
        batch = self.reference.batches.get(batch_id)
        # What is told of steps that were saved before is none of any part.
        if batch is None or batch.parts or not batch.data.steps:
            divided = self._listed(self.parts.divide_batch(batch_id, run, new))
            self.compare(divided, self.reference.divide_batch(batch_id, run, new))

    def step_some(self, batch_id: str, number: int, asker: str, *, is_again: bool) -> None:
        """Save a step, of a part where there are any."""
        run, step = self.next_step(batch_id, number, asker, is_again=is_again)
        self.compare(self.batches.save_step(batch_id, run, step), self.reference.save_step(batch_id, run, step))

    def start_some(self, batch_id: str, start: PartStart) -> None:
        """Begin the run of a part."""
        self.compare(self.parts.start_part(batch_id, start), self.reference.start_part(batch_id, start))

    def end_some(self, batch_id: str, number: int, asker: str, error: str | None) -> None:
        """End the run of a part."""
        part = self.part_of(batch_id, number)
        run = part.run if part is not None and part.run and asker == "run" else NO_RUN
        ended = self.parts.end_part(batch_id, _part_number(number), run, error=error)
        self.compare(ended, self.reference.end_part(batch_id, _part_number(number), run, error))

    def next_step(self, batch_id: str, number: int, asker: str, *, is_again: bool) -> tuple[str, BatchStep]:
        """Return the next step of a batch job or of a part of it, or the last, and the run that saves it."""
        batch, part = self.reference.batches.get(batch_id), self.part_of(batch_id, number)
        stands: Any = part or (None if batch is None else batch.data)
        run = NO_RUN if stands is None or not stands.run or asker != "run" else str(stands.run)
        steps, done = (0, 0) if stands is None else (stands.steps, stands.done)
        self.made += 1
        counts = {RowOutcome.DONE: done + 7, RowOutcome.FAILED: 3}
        errors = [RowError(done + number, "bad", f"{self.made}")] if number else []
        step = BatchStep(steps + (not is_again), f"{done}".encode(), done + 10, counts=counts, errors=errors)
        return run, evolve(step, part=None if part is None else part.number, message=f"step {self.made}")

    def part_of(self, batch_id: str, number: int) -> BatchPart | None:
        """Return a part of a batch job, where it has any."""
        batch: ReferenceBatch | None = self.reference.batches.get(batch_id)
        return None if batch is None else batch.parts.get(_part_number(number))

    def run_of(self, batch_id: str, asker: str) -> str:
        """Return the token of the run that asks."""
        batch = self.reference.batches.get(batch_id)
        return str(batch.data.run) if batch is not None and batch.data.run and asker == "run" else NO_RUN

    def revision(self, batch_id: str) -> int:
        """Return how often a batch job was written; 0: it is not there."""
        batch = self.reference.batches.get(batch_id)
        return 0 if batch is None else batch.data.revision

    def work(self, job_id: str | None) -> NewJob:
        """Return a job that comes along, with an id of its own where it is given none, or one that means nothing."""
        is_free = job_id is not None and job_id not in self.reference.ghosts()
        return self.workshop.new(str(job_id) if is_free else self.next_name("work"), queue=QUEUES[0], payload=b"[2]")

    def next_name(self, kind: str) -> str:
        """Return a name that was not given yet."""
        self.made += 1
        return f"{kind}-{self.made}"

    def compare(self, verb: Awaitable[T], expected: T | str) -> None:
        """Ask the store, and compare its answer, or the name of its error."""
        assert self.ask(_told(verb)) == expected

    async def _listed(self, verb: Awaitable[Sequence[BatchPart]]) -> list[BatchPart]:
        return list(await verb)

    async def _step_in(self, lock: Lock, row: str, batch_id: str, run: str, step: BatchStep) -> BatchStatus | str:
        assert self.books is not None, "there are no books to write in"
        try:
            async with self.books.begun(lock) as transaction:
                await self.books.write(transaction.connection, row)
                return await _told(transaction.commit_step(batch_id, run, step))
        except LockLostError as error:
            return type(error).__name__


async def _told(verb: Awaitable[T]) -> T | str:
    try:
        return await verb
    except ConveyorError as error:
        return type(error).__name__


def _part_number(number: int) -> int:
    return 1 + number % PARTS
