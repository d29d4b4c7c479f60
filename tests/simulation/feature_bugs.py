"""Bugs to plant in limits, groups, flows, schedules and retention: in the store's steps, and in who calls them."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import anyio
from attrs import evolve

from conveyor._builtin.choosing import Chooser
from conveyor._builtin.memory import expiring, retaining, settling, telling
from conveyor._builtin.memory.guards import Guard
from conveyor._builtin.memory.limiting import MemoryLedger
from conveyor._builtin.memory.schedules import MemorySchedules
from conveyor._runtime.endings import Endings
from conveyor._runtime.limit_watcher import LimitWatcher
from conveyor._runtime.maintenance import Retainer
from conveyor._runtime.ticker import Ticker
from conveyor.model.flows import Step, next_step
from conveyor.model.schedules import firing
from conveyor.model.schedules.firing import Firing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from conveyor._builtin.memory.records import JobRecord
    from conveyor._builtin.memory.tables import QueueTable
    from conveyor.model.flows import Standing
    from conveyor.model.job import JobData
    from conveyor.model.options import ChildFailurePolicy
    from conveyor.model.retention import Retention
    from conveyor.model.schedules.values import ScheduleData, TickReceipt
    from conveyor.model.settlement import Settlement

__all__ = ["FEATURE_BUGS"]


def _nothing(*_: object, **__: object) -> None:
    return None


async def _never(self: object) -> None:
    del self
    await anyio.sleep_forever()


def _no_concurrency(self: Chooser, name: str, group_id: str) -> Iterator[Any]:
    del self, name, group_id
    return iter(())


def _one_turn_each(self: Chooser, group_id: str) -> int:
    del self, group_id
    return 1


def _charge_whoever_met_a_limit(self: Endings, job: JobData, value: object, *, is_limited: bool = False) -> Settlement:
    del is_limited
    return _settlement_of(self, job, value)


def _go_on_with_the_first(standing: Standing, policy: ChildFailurePolicy) -> Step:
    step = _next_step(standing, policy)
    return Step.RUN if step is Step.WAIT else step


def _go_on_whatever_failed(standing: Standing, policy: ChildFailurePolicy) -> Step:
    del policy
    return Step.WAIT if standing.open_count else Step.RUN


def _fire_twice(self: MemorySchedules, schedule: ScheduleData, now: datetime) -> list[TickReceipt]:
    """Forget between reading and writing that another worker may fire it meanwhile."""
    numbers = count()
    with patch.object(firing, "job_id_of", lambda *tick: f"{_job_id_of(*tick)}{'+' * next(numbers)}"):
        return [*_fire(self, schedule, now), *_fire(self, schedule, now)]


def _never_skipped(self: Firing, live_ids: object) -> bool:
    del self, live_ids
    return False


def _cancel_none(self: Firing, live_ids: object) -> list[str]:
    del self, live_ids
    return []


def _fire_the_last_only(schedule: ScheduleData, due: list[datetime], now: datetime) -> list[datetime]:
    return _chosen(schedule, due, now)[-1:]


def _every_age(record: JobRecord, max_age: object, now: datetime) -> bool:
    del record, now
    return max_age is not None


def _one_fewer(queue: QueueTable, retention: Retention, now: datetime) -> Iterator[JobRecord]:
    most = retention.max_count
    return _old(queue, retention if most is None else evolve(retention, max_count=max(most - 1, 1)), now)


_job_id_of: Final = firing.job_id_of
_settlement_of: Final = Endings.settlement_of
_next_step: Final = next_step
_fire: Final = MemorySchedules._fire
_chosen: Final = firing._chosen
_old: Final = retaining._old

# What is broken, and with what: (owner, attribute, replacement).
FEATURE_BUGS: Final[dict[str, list[tuple[Any, str, Any]]]] = {
    "limits of what runs at once are not looked at": [
        (Chooser, "_most_active", _no_concurrency),
    ],
    "starts are not counted": [
        (MemoryLedger, "charge", _nothing),
    ],
    "the end of a run makes no room": [
        (Guard, "note_end", _nothing),
    ],
    "nobody watches when limits have room": [
        (LimitWatcher, "run", _never),
    ],
    "a handler that meets a limit is charged an attempt": [
        (Endings, "settlement_of", _charge_whoever_met_a_limit),
    ],
    "the weights of groups are ignored": [
        (Chooser, "_turns_of", _one_turn_each),
    ],
    "a parent goes on with its first child": [
        (telling, "next_step", _go_on_with_the_first),
    ],
    "a parent goes on whatever became of its children": [
        (telling, "next_step", _go_on_whatever_failed),
    ],
    "parents do not hear of children that settled": [
        (settling, "tell_parents", _nothing),
    ],
    "parents do not hear of children that expired": [
        (expiring, "tell_parents", _nothing),
    ],
    "a tick is fired by two workers": [
        (MemorySchedules, "_fire", _fire_twice),
    ],
    "nobody looks for schedules that are due": [
        (Ticker, "run", _never),
    ],
    "a tick adds a job beside one that it should let be": [
        (Firing, "is_skipped", _never_skipped),
    ],
    "a tick leaves the job that it should cancel": [
        (Firing, "cancelled_ids", _cancel_none),
    ],
    "ticks that were missed are let go": [
        (firing, "_chosen", _fire_the_last_only),
    ],
    "retention removes whatever has ended": [
        (retaining, "_is_old", _every_age),
    ],
    "retention keeps one fewer than it may": [
        (retaining, "_old", _one_fewer),
    ],
    "nobody removes what is outdated": [
        (Retainer, "run", _never),
    ],
}
