"""The demo's accounts: what the ledger says against what the store says, counted from both, job by job."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from attrs import define, frozen

from conveyor._cli.demo.ledger import Entry, Event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Audit", "Books", "Verdict"]

# One run: the job's id and the lock token as a word.
Run: TypeAlias = tuple[str, str]


@frozen
class Books:
    """What the store's tables say.

    Attributes:
        live: ids of jobs that are not settled.
        settled: job id to its state and the token of the run that settled it.
        ended: runs that did not settle their job, and how they ended.
    """

    live: frozenset[str]
    settled: Mapping[str, tuple[str, str]]
    ended: Mapping[Run, str]


@frozen
class Verdict:
    """The numbers that must agree, and each reason why they do not."""

    added: int
    settled: int
    completed: int
    failed: int
    lost: int
    settled_twice: int
    repeated_runs: int
    repeated_by_kill: int
    ledger_lines: int
    disagreements: Sequence[str]

    @property
    def agree(self) -> bool:
        """Whether ledger and store tell the same story."""
        return not self.disagreements


@define(slots=False)
class Audit:
    """Compares a ledger with the store's books."""

    entries: Sequence[Entry]
    unreadable_count: int
    books: Books

    def verdict(self) -> Verdict:
        """Count everything and say what does not fit."""
        states = Counter(state for state, _ in self.books.settled.values())
        repeated = self._repeated()
        return Verdict(
            added=len(self._added),
            settled=len(self.books.settled),
            completed=states["completed"],
            failed=states["failed"],
            lost=len(self._added - self.books.settled.keys()),
            settled_twice=sum(len(runs) > 1 for runs in self._settling_runs().values()),
            repeated_runs=len(repeated),
            repeated_by_kill=sum(self._pids[run] in self._killed for run in repeated),
            ledger_lines=len(self.entries) + self.unreadable_count,
            disagreements=tuple(self._disagreements()),
        )

    @cached_property
    def _added(self) -> frozenset[str]:
        return frozenset(entry.job_id for entry in self.entries if entry.event is Event.ADDED)

    @cached_property
    def _killed(self) -> frozenset[int]:
        return frozenset(entry.target for entry in self.entries if entry.event is Event.KILLED)

    @cached_property
    def _pids(self) -> Mapping[Run, int]:
        return {_run(entry): entry.pid for entry in self.entries if entry.event is Event.STARTED}

    @cached_property
    def _session_pids(self) -> Mapping[str, int]:
        return {_session(run): pid for run, pid in self._pids.items()}

    @cached_property
    def _outcomes(self) -> Mapping[Run, str]:
        return {_run(entry): entry.outcome for entry in self.entries if entry.event is Event.FINISHED}

    @cached_property
    def _settled_by(self) -> Mapping[Run, str]:
        return {(job_id, run): state for job_id, (state, run) in self.books.settled.items()}

    def _settling_runs(self) -> Mapping[str, set[Run]]:
        """Job to the runs that, by either account, settled it."""
        runs: dict[str, set[Run]] = defaultdict(set)
        for run in self._settled_by:
            runs[run[0]].add(run)
        for run in self._outcomes:
            if run not in self.books.ended:
                runs[run[0]].add(run)
        return runs

    def _repeated(self) -> list[Run]:
        """Runs whose end never counted, so that their job ran once more."""
        return [run for run in self._pids if run not in self._settled_by and self.books.ended.get(run) != "retried"]

    def _disagreements(self) -> Iterator[str]:
        yield from self._wrong_lines()
        yield from self._wrong_jobs()
        yield from self._wrong_ends()
        yield from self._wrong_repetitions()

    def _wrong_lines(self) -> Iterator[str]:
        if self.unreadable_count:
            yield f"ledger: {self.unreadable_count} lines cannot be read"
        numbers: dict[int, list[int]] = defaultdict(list)
        for entry in self.entries:
            numbers[entry.pid].append(entry.number)
        for pid, seen in numbers.items():
            if seen != list(range(1, len(seen) + 1)):
                yield f"ledger: lines of process {pid} are missing, doubled or out of order"
        lines = Counter((entry.event, _run(entry)) for entry in self.entries if entry.event is not Event.KILLED)
        yield from (f"ledger: {event} twice: {_show(run)}" for (event, run), count in lines.items() if count > 1)
        yield from (f"ledger: finished but never started: {_show(run)}" for run in self._outcomes.keys() - self._pids)

    def _wrong_jobs(self) -> Iterator[str]:
        known = self.books.settled.keys() | self.books.live
        yield from (f"job {job_id} was added and is neither live nor settled" for job_id in sorted(self._added - known))
        yield from (f"job {job_id} is in the store, but no line says it was added" for job_id in known - self._added)
        yield from (f"job {job_id} is not settled" for job_id in sorted(self.books.live))
        twice = [job_id for job_id, runs in self._settling_runs().items() if len(runs) > 1]
        yield from (f"job {job_id} was settled twice" for job_id in twice)

    def _wrong_ends(self) -> Iterator[str]:
        """Each run that counted must have finished, and as the store says."""
        retried = {run: "failed" for run, outcome in self.books.ended.items() if outcome == "retried"}
        for run, state in (retried | dict(self._settled_by)).items():
            said = self._outcomes.get(run, "nothing")
            if said != state:
                yield f"store: {state}, ledger: {said}: {_show(run)}"

    def _wrong_repetitions(self) -> Iterator[str]:
        """What did not count must be the killed process's."""
        for run in self._repeated():
            if self._pids[run] not in self._killed:
                yield f"repeated, though its process was not killed: {_show(run)}"
            elif run not in self.books.ended:
                yield f"the store does not know of this run: {_show(run)}"
        for run, outcome in self.books.ended.items():
            if outcome != "retried" and self._session_pids.get(_session(run)) not in self._killed:
                yield f"store: {outcome}, though its process was not killed: {_show(run)}"


def _run(entry: Entry) -> Run:
    return entry.job_id, entry.run


def _session(run: Run) -> str:
    return run[1].partition(".")[0]


def _show(run: Run) -> str:
    return f"job {run[0]}, run {run[1]}"
