"""A broker in memory, and the delivering strategy over it: the fakes that deliveries are tested with."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import anyio
from attrs import define, field

from conveyor.contracts.job_queue import JobQueueCapabilities
from conveyor.errors import LockLostError, StoreUnavailableError
from conveyor.model.job import as_added
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.job_queue import Delivery
    from conveyor.contracts.runtime import ProcessJob
    from conveyor.contracts.strategy import Injector
    from conveyor.model.job import JobData, NewJob
    from conveyor.model.settlement import Settlement

__all__ = ["Letter", "LetterDelivery", "Office", "PostQueue"]

LOCK: Final = timedelta(seconds=30)


@define(eq=False)
class Letter:
    """One job in the post, due at a time of the loop's clock.

    `carrier` counts its deliveries, `stalled` those of carriers who said nothing of it any more.
    """

    new: NewJob
    due_at: float
    attempts_made: int = 0
    carrier: int = 0
    stalled: int = 0
    is_carried: bool = False


@define
class Office:
    """Where letters wait. `is_closed` lets every call fail as a broker does that cannot be reached."""

    lock: timedelta = LOCK
    letters: dict[str, list[Letter]] = field(factory=lambda: defaultdict(list))
    settled: list[Settlement] = field(factory=list)
    handed_back: list[tuple[str, timedelta, bool]] = field(factory=list)
    is_closed: bool = False
    failures: int = 0
    changed: anyio.Event = field(factory=anyio.Event)

    def tell(self) -> None:
        """Wake everybody who waits for letters."""
        self.changed.set()
        self.changed = anyio.Event()

    def check(self) -> None:
        """Fail, if it is closed."""
        if self.is_closed:
            self.failures += 1
            raise StoreUnavailableError("the post office is closed")


class LetterDelivery:
    """A letter on its way; another carrier's is lost to this one."""

    def __init__(self, office: Office, letter: Letter) -> None:
        self._office, self._letter = office, letter
        letter.carrier += 1
        letter.stalled += letter.is_carried
        letter.is_carried = True
        self._carrier = letter.carrier
        self.extended = 0
        self._extend()

    @property
    def job(self) -> JobData:
        job = as_added(self._letter.new, datetime.now(UTC))
        job.state, job.attempts_made = JobState.ACTIVE, self._letter.attempts_made
        job.stalled_count = self._letter.stalled
        return job

    async def settle(self, settlement: Settlement, /) -> None:
        self._check()
        self._office.letters[self._letter.new.queue_name].remove(self._letter)
        self._office.settled.append(settlement)

    async def hand_back(self, delay: timedelta, /, *, is_counted: bool) -> None:
        self._check()
        self._letter.attempts_made += is_counted
        self._letter.carrier += 1
        self._letter.is_carried = False
        self._letter.due_at = anyio.current_time() + delay.total_seconds()
        self._office.handed_back.append((self._letter.new.id, delay, is_counted))
        self._office.tell()

    async def extend(self) -> None:
        self._check()
        self.extended += 1
        self._extend()

    def _extend(self) -> None:
        self._letter.due_at = anyio.current_time() + self._office.lock.total_seconds()

    def _check(self) -> None:
        self._office.check()
        letters = self._office.letters[self._letter.new.queue_name]
        if self._letter.carrier != self._carrier or self._letter not in letters:
            raise LockLostError(str(self._carrier), job_id=self._letter.new.id)


class PostQueue:
    """A `DeliveringJobQueueStrategy` over an office."""

    def __init__(self, office: Office, capabilities: JobQueueCapabilities | None = None) -> None:
        self.office = office
        self.given: list[LetterDelivery] = []
        self._capabilities = capabilities or JobQueueCapabilities(
            is_durable=True, is_shared=True, has_delays=True, has_retries=True, has_unique_ids=True
        )
        self._stopped: dict[str, anyio.Event] = {}

    async def init(self, injector: Injector, /) -> None:
        """Nothing to open."""

    async def destroy(self) -> None:
        """Nothing to close."""

    @property
    def capabilities(self) -> JobQueueCapabilities:
        return self._capabilities

    @property
    def lock_duration(self) -> timedelta:
        return self.office.lock

    async def add(self, job: NewJob, /) -> AddReceipt:
        return (await self.add_many([job]))[0]

    async def add_many(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        self.office.check()
        return [self._add(job) for job in jobs]

    def _add(self, job: NewJob) -> AddReceipt:
        known = next((one.new for one in self.office.letters[job.queue_name] if one.new.id == job.id), None)
        if known is not None:
            return AddReceipt(job.id, Added.ADDED if known.payload == job.payload else Added.DUPLICATE)
        delay = job.delay or timedelta(0)
        if job.run_at is not None:
            delay = max(delay, job.run_at - datetime.now(UTC))
        self.office.letters[job.queue_name].append(Letter(job, anyio.current_time() + delay.total_seconds()))
        self.office.tell()
        return AddReceipt(job.id)

    async def start(self, queue_name: str, process: ProcessJob, /) -> None:
        self._stopped[queue_name] = anyio.Event()

    async def stop(self, queue_name: str, process: ProcessJob, /) -> Sequence[str]:
        self._stopped[queue_name].set()
        self.office.tell()
        return ()

    async def fetch(self, queue_name: str, limit: int, /) -> Sequence[Delivery]:
        stopped = self._stopped[queue_name]
        while not stopped.is_set():
            self.office.check()
            changed, now = self.office.changed, anyio.current_time()
            letters = self.office.letters[queue_name]
            if due := [letter for letter in letters if letter.due_at <= now][:limit]:
                deliveries = [LetterDelivery(self.office, letter) for letter in due]
                self.given += deliveries
                return deliveries
            next_at = min((letter.due_at for letter in letters), default=float("inf"))
            with anyio.move_on_after(next_at - now):
                await changed.wait()
        return ()
