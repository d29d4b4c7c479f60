"""Settling runs in PostgreSQL: recorded, put off or made to wait again, under their locks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from conveyor.errors import StoreError
from conveyor.model.events import NotificationKind
from conveyor.model.locks import Lock
from conveyor.model.metrics import tally
from conveyor.model.options import JobOptions
from conveyor.model.settlement import Refusal, RefusalReason, SettleReport, as_discarded, is_another_attempt
from conveyor.model.states import TRANSITIONS, JobState
from conveyor_plugin_postgres.fetching import fetch_jobs
from conveyor_plugin_postgres.locking import held_locks
from conveyor_plugin_postgres.metrics import as_column, count_runs
from conveyor_plugin_postgres.reading import look_for_job
from conveyor_plugin_postgres.rows import error_column, interval
from conveyor_plugin_postgres.telling import hint_of_parents

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conveyor.model.settlement import Settlement
    from conveyor_plugin_postgres.part import Part, Row

__all__ = [
    "is_half_applied",
    "is_one_round",
    "settle_and_fetch",
    "settle_apart",
    "settle_apart_and_fetch",
    "settle_jobs",
]

_REFUSED, _REASON = 21, 22
# What the schema's function settle_jobs raises where it does not know what to count.
_HALF_APPLIED: Final = "CV002"
_TARGETS: Final = {
    command: target
    for (state, command), target in TRANSITIONS.items()
    if state is JobState.ACTIVE and target is not None
}
_HINTS: Final = {JobState.WAITING: NotificationKind.ADDED, JobState.DELAYED: NotificationKind.DELAYED}


def is_one_round(settlements: Sequence[Settlement]) -> bool:
    """Return whether no job is settled twice."""
    return len({settlement.job_id for settlement in settlements}) == len(settlements)


async def settle_jobs(part: Part, settlements: Sequence[Settlement]) -> SettleReport:
    """Apply the settlements whose token holds the job."""
    refused: list[Refusal] = []
    for once in _each_job_once(settlements):
        tallies = as_column(tally(once))
        rows = await part.fetch("jobs/settle_jobs", *_columns(once), part.moment, _flows(once), tallies)
        refused += await _unless_discarded(part, _lost(part, once, [(place, reason) for place, reason in rows]))
    _hint(part, settlements)
    return SettleReport(refused)


async def settle_and_fetch(
    part: Part, settlements: Sequence[Settlement], fetch: tuple[Any, ...]
) -> tuple[Sequence[Refusal], list[Row]]:
    """Apply settlements, then fetch the next jobs, all in one statement; `fetch` is made by `fetch_columns`.

    Return what was refused, and the rows of the jobs.

    Raises:
        SessionLostError: there is no such session.
    """
    *first, last = _each_job_once(settlements)
    refused: list[Refusal] = []
    for once in first:
        refused += (await settle_jobs(part, once)).refused
    *columns, exclusions = fetch
    asked = (*_columns(last), part.moment, *columns, _flows(last), exclusions, as_column(tally(last)))
    rows = await part.fetch("jobs/settle_and_fetch", *asked)
    told = [(row[_REFUSED], row[_REASON]) for row in rows if row[_REFUSED] is not None]
    refused += await _unless_discarded(part, _lost(part, last, told))
    _hint(part, last)
    return refused, rows[len(told) :]


def is_half_applied(error: StoreError) -> bool:
    """Return whether nothing was settled because only some of the runs hold their jobs: `settle_apart` knows which."""
    return getattr(error.__cause__, "sqlstate", None) == _HALF_APPLIED


async def settle_apart(part: Part, settlements: Sequence[Settlement]) -> SettleReport:
    """Do what `settle_jobs` does, in a transaction of several statements: look who holds what, settle, and count."""
    refused: list[Refusal] = []
    for once in _each_job_once(settlements):
        now = await part.now()
        held = set(await held_locks(part, sorted({settlement.token.session_id for settlement in once})))
        rows = await part.fetch("jobs/settle_jobs", *_columns(once), now, _flows(once), None)
        lost = _lost(part, once, [(place, reason) for place, reason in rows])
        refused += await _unless_discarded(part, lost)
        left = {settlement.job_id for settlement, _ in lost}
        applied = [
            settlement
            for settlement in once
            if Lock(settlement.job_id, settlement.token) in held and settlement.job_id not in left
        ]
        await count_runs(part, tally(applied), now, once[0].token.session_id)
    _hint(part, settlements)
    return SettleReport(refused)


async def settle_apart_and_fetch(
    part: Part, settlements: Sequence[Settlement], fetch: tuple[Any, ...]
) -> tuple[Sequence[Refusal], list[Row]]:
    """Do what `settle_and_fetch` does, in a transaction of several statements."""
    refused = (await settle_apart(part, settlements)).refused
    return refused, await fetch_jobs(part, fetch)


def _lost(
    part: Part, settlements: Sequence[Settlement], told: Sequence[tuple[int, str]]
) -> Sequence[tuple[Settlement, str]]:
    """Return the settlements that were refused, and why. At the place 0 are hints: of a kind, for a queue."""
    hint_of_parents(part, [words.split(" ", 1) for place, words in told if place == 0])
    return [(settlements[place - 1], reason) for place, reason in told if place > 0]


async def _unless_discarded(part: Part, lost: Sequence[tuple[Settlement, str]]) -> list[Refusal]:
    """Return the refusals; but jobs that were refused another attempt because they are discarded fail instead."""
    refused: list[Refusal] = []
    for settlement, reason in lost:
        if not is_another_attempt(settlement):
            refused.append(Refusal(settlement.job_id, settlement.token, RefusalReason(reason)))
            continue
        job = await look_for_job(part, settlement.job_id)
        options = JobOptions() if job is None else job.options
        # Where it was refused for any other reason, so is this.
        refused += (await settle_jobs(part, [as_discarded(settlement, options)])).refused
    return refused


def _each_job_once(settlements: Sequence[Settlement]) -> Iterable[Sequence[Settlement]]:
    """Return the settlements in rounds, in none of which a job is settled twice."""
    if is_one_round(settlements):
        return (settlements,)
    rounds: list[dict[str, Settlement]] = [{}]
    for settlement in settlements:
        if settlement.job_id in rounds[-1]:
            rounds.append({})
        rounds[-1][settlement.job_id] = settlement
    return [list(once.values()) for once in rounds]


def _columns(settlements: Sequence[Settlement]) -> tuple[Any, ...]:
    """Return the arguments of the database's function settle_jobs, except for the time."""
    return (
        [settlement.job_id for settlement in settlements],
        [settlement.token.session_id for settlement in settlements],
        [settlement.token.fetch_number for settlement in settlements],
        [settlement.outcome.value for settlement in settlements],
        [_TARGETS[settlement.command].value for settlement in settlements],
        _column([settlement.result for settlement in settlements]),
        _column([error_column(settlement.error) for settlement in settlements]),
        _column([interval(settlement.delay) if settlement.delay else None for settlement in settlements]),
        _column([None if settlement.is_counted else True for settlement in settlements]),
        _column([settlement.is_removed or None for settlement in settlements]),
        _column([interval(settlement.kept_for) for settlement in settlements]),
    )


def _flows(settlements: Sequence[Settlement]) -> list[Any] | None:
    return _column([settlement.flow_id for settlement in settlements])


def _column(values: list[Any]) -> list[Any] | None:
    return values if any(value is not None for value in values) else None


def _hint(part: Part, settlements: Sequence[Settlement]) -> None:
    for queue_name, target in {(settlement.queue_name, _TARGETS[settlement.command]) for settlement in settlements}:
        if target is not JobState.WAITING_CHILDREN:
            part.hint(_HINTS.get(target, NotificationKind.FINISHED), queue_name)
