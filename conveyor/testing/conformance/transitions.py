"""State by command: every cell of the model's table, led to its target or refused."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import pytest

from conveyor.errors import InvalidJobStateError
from conveyor.model.job import Progress, ProgressReport
from conveyor.model.locks import Lock
from conveyor.model.queries import Added
from conveyor.model.settlement import RefusalReason
from conveyor.model.states import EDITS, OPERATOR_COMMANDS, TRANSITIONS, Command, JobState
from conveyor.testing.conformance.flow_bench import BROKEN, DONE, bench_of, waiting_for_children
from conveyor.testing.conformance.kit import StoreKit, needs
from conveyor.testing.conformance.workshop import LOCK, Workshop, ending, lock_of, stranger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["TransitionsConformance"]

STATES: Final = list(JobState)
LEGAL: Final = [(state, command) for state in STATES for command in Command if (state, command) in TRANSITIONS]
ILLEGAL: Final = [(state, command) for state in STATES for command in Command if (state, command) not in TRANSITIONS]
ENDS: Final = frozenset({Command.COMPLETE, Command.FAIL, Command.RETRY, Command.DELAY, Command.STOP})
# What is asked of a job by way of its children.
BY_CHILDREN: Final = frozenset(
    {Command.WAIT_FOR_CHILDREN, Command.CHILDREN_DONE, Command.CHILD_FAILED, Command.ADD_CHILDREN}
)
JOB: Final = "a"
CHILD: Final = "child"
EXPIRES: Final = timedelta(hours=2)


def _cell(cell: tuple[JobState, Command]) -> str:
    return "-".join(cell)


async def bring(workshop: Workshop, state: JobState, command: Command) -> Lock:
    """Make the job, bring it to this state, and return a lock: its own while it is active, a stranger's otherwise.

    Where it takes one, the job has a child, which has completed unless the job waits for it.
    """
    delay = "1h" if state is JobState.DELAYED else None
    if state is JobState.WAITING_CHILDREN or command in BY_CHILDREN:
        needs(workshop.store.capabilities.has_flows, "has_flows")
        bench = bench_of(workshop)
        await bench.add(bench.flow(JOB, bench.part(CHILD), delay=delay, expires=EXPIRES))
        if state is not JobState.WAITING_CHILDREN:
            await bench.run()
    else:
        await workshop.add(JOB, delay=delay, expires=EXPIRES)
    if state in (JobState.WAITING, JobState.DELAYED, JobState.WAITING_CHILDREN):
        return stranger(JOB)
    job = await (await workshop.hand()).fetch_one()
    if state is JobState.ACTIVE:
        return lock_of(job)
    ends = {
        JobState.COMPLETED: Command.COMPLETE,
        JobState.FAILED: Command.FAIL,
        JobState.CANCELLED: Command.STOP,
    }
    await workshop.finish(job, ends[state])
    return stranger(JOB)


async def ask(workshop: Workshop, command: Command, lock: Lock) -> bool:
    """Ask the store for the command through its verb; return whether it was carried out.

    Single verbs raise instead of returning False.
    """
    single = _single_verbs(workshop).get(command)
    if single is not None:
        await single()
        return True
    match command:
        case Command.FETCH:
            return await workshop.fetch_order() == [JOB]
        case Command.EXPIRE:
            workshop.clock.advance(EXPIRES)
            return await workshop.jobs.expire_jobs() == 1
        case Command.RECLAIM | Command.GIVE_UP:
            workshop.clock.advance(LOCK * 2)
            stalls_allowed = 0 if command is Command.GIVE_UP else 1
            return len(await workshop.jobs.reclaim_stalled_jobs(stalls_allowed)) == 1
        case _:
            by_whom = _ask_by_children if command in BY_CHILDREN else _ask_as_a_run
            return await by_whom(workshop, command, lock)


def _single_verbs(workshop: Workshop) -> dict[Command, Callable[[], Awaitable[object]]]:
    jobs = workshop.jobs
    return {
        Command.CANCEL: lambda: jobs.cancel_job(JOB, "enough"),
        Command.RERUN: lambda: jobs.rerun_job(JOB),
        Command.REMOVE: lambda: jobs.remove_job(JOB),
        Command.PROMOTE: lambda: jobs.promote_job(JOB),
        Command.UPDATE_DATA: lambda: jobs.update_data(JOB, b"[7]"),
        Command.CHANGE_DELAY: lambda: jobs.change_delay(JOB, EXPIRES),
        Command.CHANGE_PRIORITY: lambda: jobs.change_priority(JOB, 7),
        Command.MOVE_TO_DELAYED: lambda: jobs.move_to_delayed(JOB, workshop.clock.now() + EXPIRES),
        Command.MOVE_TO_FAILED: lambda: jobs.move_to_failed(JOB, "enough"),
        Command.DISCARD: lambda: jobs.discard(JOB),
    }


async def _ask_by_children(workshop: Workshop, command: Command, lock: Lock) -> bool:
    bench = bench_of(workshop)
    if command is Command.ADD_CHILDREN:
        return await bench.add_children(JOB, bench.part("another")) == [Added.ADDED]
    if (await bench.outcomes(JOB))[CHILD] is not None:
        await workshop.jobs.rerun_job(CHILD)
    if command is Command.WAIT_FOR_CHILDREN:
        return await workshop.settle(waiting_for_children(lock)) == []
    before = await workshop.state(JOB)
    await bench.run(DONE if command is Command.CHILDREN_DONE else BROKEN)
    return await workshop.state(JOB) is not before


async def _ask_as_a_run(workshop: Workshop, command: Command, lock: Lock) -> bool:
    jobs = workshop.jobs
    if command is Command.RELEASE:
        return list(await jobs.release_locks([lock])) != [lock]
    if command is Command.EXTEND:
        return list(await jobs.extend_locks([lock], LOCK)) != [lock]
    if command is Command.REPORT:
        refused = list(await jobs.set_progress([ProgressReport(lock, Progress(1))]))
    else:
        assert command in ENDS, f"the kit does not know how to ask for {command}"
        refused = list((await jobs.settle_jobs([ending(lock, command)])).refused)
    assert [refusal.reason for refusal in refused] in ([], [RefusalReason.LOCK_LOST])
    return not refused


class TransitionsConformance(StoreKit):
    """Generated from `conveyor.model.states.TRANSITIONS`: a store that disagrees fails by the name of the cell."""

    @pytest.mark.parametrize("cell", LEGAL, ids=_cell)
    async def test_a_legal_command_leads_where_the_table_says(
        self, workshop: Workshop, cell: tuple[JobState, Command]
    ) -> None:
        state, command = cell
        lock = await bring(workshop, state, command)
        assert await workshop.state(JOB) is state
        assert await ask(workshop, command, lock)
        assert await workshop.state(JOB) is TRANSITIONS[cell]

    @pytest.mark.parametrize("cell", ILLEGAL, ids=_cell)
    async def test_an_illegal_command_is_refused_and_changes_nothing(
        self, workshop: Workshop, cell: tuple[JobState, Command]
    ) -> None:
        state, command = cell
        lock = await bring(workshop, state, command)
        before = await workshop.job(JOB)
        try:
            is_done = await ask(workshop, command, lock)
        except InvalidJobStateError as error:
            assert (error.job_id, error.state, error.command) == (JOB, state, command)
        else:
            assert not is_done, f"{command} should be refused in state {state}"
            is_single = command in OPERATOR_COMMANDS | EDITS or command is Command.ADD_CHILDREN
            assert not is_single, f"{command} should raise InvalidJobStateError"
        assert await workshop.job(JOB) == before

    async def test_a_settled_job_ignores_the_bulk_verbs(self, workshop: Workshop) -> None:
        for command in (Command.COMPLETE, Command.FAIL, Command.STOP):
            await workshop.finished(command, command)
        before = await workshop.jobs.find_jobs([Command.COMPLETE, Command.FAIL, Command.STOP])
        workshop.clock.advance(LOCK * 2)
        assert await workshop.jobs.promote_delayed_jobs(["orders"]) == 0
        assert await workshop.queues.promote_jobs("orders") == 0
        assert list(await workshop.jobs.reclaim_stalled_jobs(0)) == []
        assert await workshop.queues.drain("orders") == 0
        assert await workshop.jobs.find_jobs(list(before)) == before
