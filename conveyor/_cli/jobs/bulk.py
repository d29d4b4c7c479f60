"""Changing all jobs that match: counted and asked for first, told at the end."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

from conveyor._cli.asking import ask, counted
from conveyor._cli.discovery import find_operated_app
from conveyor._cli.failures import CommandError, ExitCode
from conveyor._cli.jobs.filters import in_words, parse_filter
from conveyor._cli.known_queues import check_queues
from conveyor._cli.opening import looking_only, services_of
from conveyor._cli.output import say, show_record, write
from conveyor._cli.progress import showing_progress
from conveyor._services.bulk import change_matching as change_matching_jobs
from conveyor.model.bulk import BulkReport, narrowed
from conveyor.model.states import legal_states

if TYPE_CHECKING:
    from conveyor._app import Conveyor
    from conveyor._cli.jobs.filters import FilterOptions
    from conveyor._cli.parameters import StoreOptions
    from conveyor.model.queries import JobFilter
    from conveyor.model.states import Command

__all__ = ["change_matching"]

# As far as `app.jobs.count` counts.
_COUNTED: Final = 100_000
_REASONS: Final = {"not_found": "were removed meanwhile", "no_match": "had moved on", "refused": "do not allow it"}


def change_matching(command: Command, options: FilterOptions, is_agreed: bool, where: StoreOptions, reason: str) -> int:
    """Change all jobs that match, once it is agreed to, and tell what became of them."""
    wanted = narrowed(parse_filter(options), command)
    _check_states(wanted, command)
    app = find_operated_app(where)
    # Two openings: while a person thinks, nothing is held, and Ctrl+C works as at any prompt.
    count = anyio.run(_count, app, wanted)
    if count:
        ask(f"this will {command.value} {_named(count, in_words(wanted))}", is_agreed=is_agreed)
        report = anyio.run(_change, app, command, wanted, count, reason)
    else:
        say("no job matches")
        report = BulkReport(command)
    if where.output == "table":
        _write_report(report)
    else:
        show_record(_to_json(report), where.output)
    return ExitCode.OK


def _check_states(wanted: JobFilter, command: Command) -> None:
    legal = legal_states(command)
    for state in wanted.states:
        if state not in legal:
            fit = ", ".join(sorted(legal))
            raise CommandError(
                ExitCode.REFUSED, f"{command.value} does not fit jobs that are {state.value}", f"it fits: {fit}"
            )


async def _count(app: Conveyor, wanted: JobFilter) -> int:
    async with looking_only(app):
        count = await app.jobs.count(wanted)
        if not count:
            await check_queues(app, wanted.queue_names)
    return count


async def _change(app: Conveyor, command: Command, wanted: JobFilter, count: int, reason: str) -> BulkReport:
    with showing_progress(command.value, count) as tell:
        async with looking_only(app):
            change = partial(change_matching_jobs, services_of(app), command, wanted, reason=reason)
            return await change(progress=lambda report: tell(report.matched))


def _named(count: int, words: str) -> str:
    return " ".join(filter(None, (counted(count, "job", _COUNTED), words)))


def _write_report(report: BulkReport) -> None:
    write(f"{report.command.value}: {counted(report.done, 'job')} of {counted(report.matched, 'job')}")
    for skipped in report.skipped:
        state = "" if skipped.state is None else f" and are {skipped.state.value} now"
        examples = f"{', '.join(skipped.examples)}{', …' if skipped.count > len(skipped.examples) else ''}"
        write(f"  {skipped.count} skipped: they {_REASONS[skipped.reason.value]}{state} ({examples})")


def _to_json(report: BulkReport) -> dict[str, Any]:
    return {
        "command": report.command.value,
        "matched": report.matched,
        "done": report.done,
        "skipped": [
            {
                "reason": skipped.reason.value,
                "state": None if skipped.state is None else skipped.state.value,
                "count": skipped.count,
                "examples": list(skipped.examples),
            }
            for skipped in report.skipped
        ],
    }
