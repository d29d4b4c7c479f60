"""``conveyor batch``: types, list and show; the others stand beside."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter, validators

from conveyor._cli.batches.bad_rows import errors
from conveyor._cli.batches.changes import cancel, confirm, pause, resume, retry
from conveyor._cli.batches.creating import create
from conveyor._cli.batches.filters import BatchFilterOptions
from conveyor._cli.batches.parameters import BatchId
from conveyor._cli.batches.running import run
from conveyor._cli.batches.templates import template
from conveyor._cli.batches.watching import watch
from conveyor._cli.output import say, show_page, show_records, write_json
from conveyor._cli.parameters import ListOptions, StoreOptions, Unmasked, flattened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._services.batches.strategies import Strategy

__all__ = ["batch"]

_DEFAULTS: Final = StoreOptions()
_LIST_DEFAULTS: Final = ListOptions()
_EVERYTHING: Final = BatchFilterOptions()

batch: Final = App(name="batch", help="Create batch jobs; watch, stop and resume them.")


@batch.command(help_epilogue="Example:\n  conveyor batch types --app shop:app")
def types(*, options: Annotated[ListOptions, flattened] = _LIST_DEFAULTS) -> int:
    """List the types of batch jobs that the app has strategies for."""
    import anyio

    return anyio.run(_types, options)


@batch.command(name="list", help_epilogue="Example:\n  conveyor batch list --status paused failed --created-after 1d")
def list_(
    *,
    wanted: Annotated[BatchFilterOptions, flattened] = _EVERYTHING,
    limit: Annotated[int, Parameter(help="How many at most.", validator=validators.Number(gte=1, lte=1000))] = 50,
    cursor: Annotated[str | None, Parameter(help="Go on after an earlier page: what that page ended with.")] = None,
    unmasked: Unmasked = False,
    options: Annotated[ListOptions, flattened] = _LIST_DEFAULTS,
) -> int:
    """List batch jobs, newest first."""
    import anyio

    return anyio.run(partial(_list, wanted, cursor, limit, options, unmasked=unmasked))


@batch.command(help_epilogue="Example:\n  conveyor batch show 01a20167-9ed0-7c11-8a44-0d4d3ff9c0de")
def show(
    batch_id: BatchId,
    /,
    *,
    unmasked: Unmasked = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Show all that is known of a batch job: what it is to do, how far it is, what came of it, and its history."""
    import anyio

    return anyio.run(partial(_show, batch_id, options, unmasked=unmasked))


async def _types(options: ListOptions) -> int:
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import services_of, without_store

    async with without_store(find_operated_app(options)) as app:
        records = [_strategy_record(strategy) for strategy in services_of(app).batches.all]
    if not records and options.output == "table":
        say("no batch types: name the app that has strategies, with --app MODULE:ATTR")
        return 0
    titles = ("type", "strategy", "confirmation", "above", "identifying", "running at most")
    show_records(records, options.output, titles, _strategy_row)
    return 0


def _strategy_record(strategy: Strategy) -> dict[str, Any]:
    return {
        "batch_type": strategy.batch_type,
        "identifier": strategy.identifier,
        "confirmation": str(strategy.confirmation),
        "confirm_above": strategy.confirm_above,
        "identifying": list(strategy.identifying),
        "max_running": strategy.max_running,
    }


def _strategy_row(record: Mapping[str, Any]) -> Sequence[object]:
    return tuple(", ".join(value) if isinstance(value, list) else value for value in record.values())


async def _list(
    wanted: BatchFilterOptions, cursor: str | None, limit: int, options: ListOptions, *, unmasked: bool
) -> int:
    from attrs import evolve

    from conveyor._cli.batches.filters import parsed
    from conveyor._cli.batches.ids import whole_id
    from conveyor._cli.batches.records import LIST_TITLES, batch_record, list_row
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        parent = None if wanted.parent is None else await whole_id(app, wanted.parent)
        found = await app.batches.list(**parsed(evolve(wanted, parent=parent)), cursor=cursor, limit=limit)
        masking = None if unmasked else app.masking
    records = [batch_record(one, masking) for one in found.batches]
    if not records and options.output == "table":
        say("no batch job matches")
        return 0
    show_page("batches", records, found.next_cursor, output=options.output, titles=LIST_TITLES, row=list_row)
    return 0


async def _show(batch_id: str, options: StoreOptions, *, unmasked: bool) -> int:
    from conveyor._cli.batches.ids import meant
    from conveyor._cli.batches.records import batch_record, part_record, write_batch
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only

    async with looking_only(find_operated_app(options)) as app:
        found = await meant(app, batch_id)
        parts = await app.batches.parts(found.id)
        masking = None if unmasked else app.masking
    record = {**batch_record(found, masking), "each_part": [part_record(part, masking) for part in parts]}
    if options.output == "table":
        write_batch(record)
    else:
        write_json(record, on_one_line=options.output == "jsonl")
    return 0


for _command, _example in (
    (template, "conveyor batch template product-import --app shop:app --file products.xlsx"),
    (run, "conveyor batch run product-import products.csv --app shop:app --errors-file bad.csv"),
    (create, "conveyor batch create product-import --file products.csv --confirm manual"),
    (confirm, "conveyor batch confirm 01a20167-9ed0-7c11-8a44-0d4d3ff9c0de --by ada"),
    (pause, 'conveyor batch pause 01a20167-9ed0-7c11-8a44-0d4d3ff9c0de --reason "the shop is slow"'),
    (resume, "conveyor batch resume 01a20167-9ed0-7c11-8a44-0d4d3ff9c0de"),
    (cancel, "conveyor batch cancel 01a20167-9ed0-7c11-8a44-0d4d3ff9c0de"),
    (retry, "conveyor batch retry 01a20167-9ed0-7c11-8a44-0d4d3ff9c0de --failed-rows"),
    (watch, "conveyor batch watch 01a20167-9ed0-7c11-8a44-0d4d3ff9c0de"),
    (errors, "conveyor batch errors 01a20167-9ed0-7c11-8a44-0d4d3ff9c0de -o csv --unmasked"),
):
    batch.command(_command, help_epilogue=f"Example:\n  {_example}")
