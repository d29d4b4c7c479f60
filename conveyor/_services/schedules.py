"""What can be done with schedules: declare them, make, change, pause and remove them, run one now."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import uuid_utils
from attrs import Factory, evolve, fields, frozen

from conveyor._services.limits import check_groups
from conveyor.errors import ConfigurationError, ScheduleNotFoundError
from conveyor.model.checks import could_be_id
from conveyor.model.job import NewJob
from conveyor.model.payload import schedule_place
from conveyor.model.schedules import firing
from conveyor.model.schedules.parsing import check_schedule_id, parse_rule
from conveyor.model.schedules.values import ScheduleSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from conveyor._services.services import Services
    from conveyor.model.schedules.parsing import TimeKeywords
    from conveyor.model.schedules.values import ScheduleData

__all__ = [
    "Declaration",
    "declare",
    "find_undeclared",
    "get",
    "list_all",
    "next_fires",
    "pause",
    "remove",
    "resume",
    "run_now",
    "upsert",
    "upsert_declared",
]

logger: Final = logging.getLogger("conveyor.schedules")

PAGE: Final = 1000
MOST_FIRES: Final = 1000
_MADE_VERSION: Final = 7
# What a schedule keeps of the job it is given; its rule and its ticks decide the rest.
_KEPT: Final = frozenset({"id", "queue_name", "name", "payload", "options", "expires"})


@frozen
class Declaration:
    """A schedule that this program declares. Its job is made when the app opens, for its handler may come later."""

    id: str
    make_job: Callable[[], NewJob]
    times: TimeKeywords

    def spec(self) -> ScheduleSpec:
        """Return the schedule as stores take it.

        Raises:
            ConfigurationError, PayloadError: something of it is wrong.
        """
        return _spec(self.id, self.make_job(), self.times)


def declare(services: Services, schedule_id: str | None, make_job: Callable[[], NewJob], times: TimeKeywords) -> str:
    """Note a schedule, to be made whenever the app opens; return its id, by default that of queue and job name.

    Raises:
        ConfigurationError: an option is wrong, the id is declared already, or the app is open.
    """
    if services.is_open:
        raise ConfigurationError("the app is open, and declares no more: `await app.schedules.upsert(id, job, …)`")
    if schedule_id is None:
        job = make_job()
        schedule_id = f"{job.queue_name}:{job.name}"
    declaration = Declaration(check_schedule_id(schedule_id), make_job, times)
    declaration.spec()
    if schedule_id in services.declarations:
        raise ConfigurationError(f"a schedule {schedule_id!r} is declared already: give each its own id=")
    services.declarations[schedule_id] = declaration
    return schedule_id


async def upsert_declared(services: Services) -> None:
    """Make every declared schedule, or change it where its declaration changed; how often this is done is all one.

    Raises:
        CapabilityError: the store has no schedules, or no groups where a job has one.
        PayloadError: arguments do not fit a handler.
    """
    specs = [_prepared(services, declaration.spec()) for declaration in services.declarations.values()]
    for spec in specs:
        if _has_ended(services, spec):
            # A program that was right when it was written must not fail to start one day.
            logger.warning("schedule %s fires no more: its end was at %s", spec.id, spec.rule.end_at)
    if specs:
        await services.schedules("a declared schedule").upsert_schedules(specs, is_declared=True)


async def find_undeclared(services: Services, queue_names: Collection[str]) -> list[ScheduleData]:
    """Return schedules that add to these queues, were declared by some program once, and are not by this one."""
    if services.store.schedules is None:
        return []
    return [
        schedule
        for schedule in await list_all(services)
        if schedule.state.declared_at is not None
        and schedule.spec.queue_name in queue_names
        and schedule.id not in services.declarations
    ]


async def upsert(services: Services, schedule_id: str, job: NewJob, times: TimeKeywords) -> ScheduleData:
    """Make a schedule, or change the one of this id."""
    spec = _prepared(services, _spec(check_schedule_id(schedule_id), job, times))
    if _has_ended(services, spec):
        raise ConfigurationError(f"end ({spec.rule.end_at}) is over: the schedule would never fire; give a later one")
    (receipt,) = await services.schedules("app.schedules.upsert()").upsert_schedules([spec])
    return receipt.schedule


async def get(services: Services, schedule_id: str) -> ScheduleData:
    """Return the schedule.

    Raises:
        ScheduleNotFoundError: there is none.
    """
    schedules = services.schedules("app.schedules")
    schedule = await schedules.get_schedule(schedule_id) if could_be_id(schedule_id, "schedule id") else None
    if schedule is None:
        raise ScheduleNotFoundError(schedule_id)
    return schedule


async def list_all(services: Services) -> list[ScheduleData]:
    """Return every schedule, by id."""
    schedules = services.schedules("app.schedules")
    found: list[ScheduleData] = []
    page: Sequence[ScheduleData] = await schedules.list_schedules(limit=PAGE)
    found += page
    while len(page) == PAGE:
        page = await schedules.list_schedules(after=page[-1].id, limit=PAGE)
        found += page
    return found


async def pause(services: Services, schedule_id: str) -> ScheduleData:
    """Let it fire no more."""
    return await services.schedules("app.schedules").pause_schedule(_looked_for(schedule_id))


async def resume(services: Services, schedule_id: str) -> ScheduleData:
    """Let it fire again, from its next tick on."""
    return await services.schedules("app.schedules").resume_schedule(_looked_for(schedule_id))


async def remove(services: Services, schedule_id: str) -> None:
    """Delete it; its jobs stay."""
    await services.schedules("app.schedules").remove_schedule(_looked_for(schedule_id))


async def run_now(services: Services, schedule_id: str) -> NewJob:
    """Add a job of it now, and return that."""
    job_id = str(uuid_utils.uuid7())
    schedule = await services.schedules("app.schedules.run_now()").run_schedule(_looked_for(schedule_id), job_id)
    return firing.job_by_hand(schedule, job_id)


async def next_fires(services: Services, schedule_id: str, count: int) -> list[datetime]:
    """Return when it fires next, at most so often.

    Raises:
        ScheduleNotFoundError: there is none.
        ConfigurationError: the count is none, or the zone of the schedule is not known here.
    """
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_FIRES:
        raise ConfigurationError(f"count must be a whole number from 1 to {MOST_FIRES}, got {count!r}")
    schedule = await get(services, schedule_id)
    try:
        return firing.next_fires(schedule, count)
    except (LookupError, ValueError) as exc:
        raise ConfigurationError(f"the times of schedule {schedule_id!r} cannot be told here: {exc}") from exc


def _looked_for(schedule_id: str) -> str:
    if not could_be_id(schedule_id, "schedule id"):
        raise ScheduleNotFoundError(schedule_id)
    return schedule_id


def _spec(schedule_id: str, job: NewJob, times: TimeKeywords) -> ScheduleSpec:
    if not isinstance(job, NewJob):
        raise ConfigurationError(f"a schedule takes a job made with new(), got {job!r}")
    if not _is_made(job.id):
        raise ConfigurationError(
            f"job_id ({job.id!r}) does not fit the job of a schedule: each tick's has an id of its own; leave it out, "
            "also of the defaults of its queue and handler"
        )
    for attribute in fields(NewJob):
        if attribute.name not in _KEPT and getattr(job, attribute.name) != _default(attribute.default):
            raise ConfigurationError(
                f"{attribute.name} does not fit the job of a schedule, whose ticks and overlap policy say when one "
                "is added; leave it out, also of the defaults of its queue and handler"
            )
    rule = parse_rule(times, job.expires)
    return ScheduleSpec(schedule_id, job.queue_name, job.name, job.payload, job.options, rule)


def _has_ended(services: Services, spec: ScheduleSpec) -> bool:
    # By the app's clock, which is not the system's in tests.
    return spec.rule.end_at is not None and spec.rule.end_at <= services.buffers.now()


def _is_made(job_id: str) -> bool:
    """Return whether a job has an id like those that it is given where its caller gives none."""
    try:
        return UUID(job_id).version == _MADE_VERSION and str(UUID(job_id)) == job_id
    except ValueError:
        return False


def _prepared(services: Services, spec: ScheduleSpec) -> ScheduleSpec:
    """Return the schedule as the store gets it: one whose job could never be added is refused, arguments are sealed."""
    check_groups(services.store, [NewJob(spec.id, spec.queue_name, spec.name, spec.payload, spec.options)])
    codec = services.payload_codec
    if codec is None:
        return spec
    return evolve(spec, payload=codec.seal(spec.payload, schedule_place(spec.id, spec.queue_name, spec.name)))


def _default(default: Any) -> Any:
    return default.factory() if isinstance(default, Factory) else default  # type: ignore[arg-type]  # a class in fact
