"""What core does for a strategy that works on rows: the injector has it as `RowWork`."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import fields_dict, has

from conveyor._runtime.batches.rows.ahead import reading_ahead
from conveyor._runtime.batches.rows.contexts import RunRowContext
from conveyor._runtime.batches.rows.files import find_file
from conveyor._runtime.batches.rows.parts import MarkedRows, process_part, refuse_too_many
from conveyor._runtime.batches.rows.previewing import preview_rows
from conveyor._runtime.batches.rows.processing import Processing
from conveyor._runtime.batches.rows.sources import has_files, last_row, open_rows
from conveyor._services.batches.params import read_params
from conveyor.codec import JsonCodec, to_json
from conveyor.codec.tables import RowLayout, make_template
from conveyor.codec.tables.forms import form_of
from conveyor.contracts.batch_job import BatchJobService
from conveyor.contracts.file_storage import FileStorage
from conveyor.contracts.row_batches import RowBatchStrategy
from conveyor.errors import BatchJobNotFoundError, ConfigurationError
from conveyor.model.batches.policy import ErrorPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conveyor.contracts.batch_job import BatchRun
    from conveyor.contracts.strategy import Injector

__all__ = ["RowsOfStrategies"]

ParamsT = TypeVar("ParamsT")


class RowsOfStrategies:
    """A `RowWork`."""

    def __init__(self, injector: Injector) -> None:
        """Know of no strategy yet; the injector has the file storage, once it is open."""
        self._injector = injector
        self._params_readers: dict[type[Any], Callable[[bytes], Any]] = {}

    def declare(self, strategy: RowBatchStrategy[Any, Any], /) -> None:
        """Refuse a strategy that cannot work; see `RowWork.declare`."""
        kind = type(strategy)
        for name in ("row", "params"):
            given = getattr(strategy, name, None)
            if not (isinstance(given, type) and has(given)):
                raise ConfigurationError(f"{kind.__name__}.{name} must be an attrs class, got {given!r}")
        if kind.process is RowBatchStrategy.process and kind.process_one is RowBatchStrategy.process_one:
            raise ConfigurationError(f"{kind.__name__} has neither process nor process_one: write one of them")
        _refuse_numbers(strategy)
        if not isinstance(strategy.rollback_safe, bool):
            raise ConfigurationError(
                f"{kind.__name__}.rollback_safe must be True or False, got {strategy.rollback_safe!r}"
            )
        if not isinstance(strategy.errors, ErrorPolicy):
            raise ConfigurationError(f"{kind.__name__}.errors must be an ErrorPolicy, got {strategy.errors!r}")
        if has_files(strategy):
            _refuse_fileless(strategy)
            RowLayout(strategy.row)  # it refuses a class that no table fits
        self._params_readers[kind] = JsonCodec().decoder(strategy.params)

    def read_params(self, strategy: RowBatchStrategy[Any, ParamsT], context: Mapping[str, Any], /) -> ParamsT:
        """Return the context as the strategy's `params`; see `RowWork.read_params`."""
        return read_params(strategy, context, self._params_readers[type(strategy)])

    async def check_context(self, strategy: RowBatchStrategy[Any, Any], context: Mapping[str, Any], /) -> None:
        """Refuse a context that cannot be read, or whose file is not there; see `RowWork.check_context`."""
        params = self.read_params(strategy, context)
        if has_files(strategy):
            form_of((await find_file(self._injector.get(FileStorage), params.file)).name)

    async def identify(self, strategy: RowBatchStrategy[Any, Any], context: Mapping[str, Any], /) -> Mapping[str, Any]:
        """Return the context as it is compared; see `RowWork.identify`."""
        params = self.read_params(strategy, context)
        # What the context leaves out has the default of its field.
        left_out = {name for name in strategy.identifying if name not in context and hasattr(params, name)}
        compared = {**context, **{name: to_json(getattr(params, name)) for name in left_out}}
        if has_files(strategy):
            compared["file"] = (await find_file(self._injector.get(FileStorage), params.file)).sha256
        return compared

    def has_file(self, strategy: RowBatchStrategy[Any, Any], /) -> bool:
        """Whether rows come from the file that the context names; see `RowWork.has_file`."""
        return has_files(strategy)

    def make_template(self, strategy: RowBatchStrategy[Any, Any], /) -> str:
        """Return a file that people fill in; see `RowWork.make_template`."""
        return make_template(RowLayout(strategy.row)) if has_files(strategy) else ""

    async def _context(self, strategy: RowBatchStrategy[Any, ParamsT], run: BatchRun) -> RunRowContext[ParamsT]:
        params = self.read_params(strategy, run.context)
        origin = run.batch_job.parent_id
        # The bad rows of bad rows may be taken up, too; of one that was removed nobody knows what it came from.
        with suppress(BatchJobNotFoundError):
            while origin and (parent := (await self._injector.get(BatchJobService).get(origin)).parent_id):
                origin = parent
        return RunRowContext(run, params, origin)

    async def pre_process(self, strategy: RowBatchStrategy[Any, Any], run: BatchRun, /) -> None:
        """Read and check every row; see `RowWork.pre_process`."""
        context = await self._context(strategy, run)
        if has_files(strategy):
            file = await find_file(self._injector.get(FileStorage), context.params.file)
            told = {"name": file.name, "size": file.size, "sha256": file.sha256}
            run.set_result({**(run.result or {}), "file": told})
        async with open_rows(strategy, context, None, self._injector) as rows:
            marked = MarkedRows(rows, strategy.parts)
            await preview_rows(strategy, context, marked if strategy.parts > 1 else rows)
        spans = marked.spans(least=strategy.chunk_size)
        run.set_result({**_without_parts(run), **({"parts": spans} if spans else {})})

    async def process(self, strategy: RowBatchStrategy[Any, Any], run: BatchRun, /) -> None:
        """Process the rows that are left; see `RowWork.process`."""
        context = await self._context(strategy, run)
        if run.part is not None:
            await process_part(strategy, context, self._injector)
            return
        spans = (run.result or {}).get("parts", ())
        # One that is divided stays so, though its result, which is the strategy's, tells of no parts any more.
        if run.batch_job.parts or (spans and run.can_divide):
            await run.process_parts(spans)
            refuse_too_many(strategy, run)
            run.set_result(_without_parts(run))
            return
        writes = not run.is_dry_run or (run.has_transactions and strategy.rollback_safe)
        opened = open_rows(strategy, context, run.cursor, self._injector)
        async with reading_ahead(opened, strategy.chunk_seconds) as rows:
            processing = Processing(strategy, context, rows, writes, after=last_row(run.cursor))
            await processing.process_rows()
        if run.is_dry_run:
            run.set_result({**(run.result or {}), "dry_run": _dry_run(processing, run)})


def _without_parts(run: BatchRun) -> dict[str, Any]:
    return {name: value for name, value in (run.result or {}).items() if name != "parts"}


def _dry_run(processing: Processing[Any], run: BatchRun) -> dict[str, Any]:
    """Return what a dry run did, and how long the real one will take if it is as fast."""
    if not processing.writes:
        return {"rows_were": "checked"}
    total = run.batch_job.total or processing.processed
    per_row = processing.seconds / processing.processed if processing.processed else 0.0
    return {"rows_were": "rolled_back", "estimate_seconds": round(per_row * total, 3)}


def _refuse_fileless(strategy: RowBatchStrategy[Any, Any]) -> None:
    if "file" not in fields_dict(strategy.params):
        name = type(strategy).__name__
        raise ConfigurationError(
            f"{name} has no source, and its params {strategy.params.__name__} no field 'file': "
            "write a source, or let the class of its params be a FileParams"
        )


def _refuse_numbers(strategy: RowBatchStrategy[Any, Any]) -> None:
    seconds = strategy.chunk_seconds
    name = type(strategy).__name__
    for of, number in (("chunk_size", strategy.chunk_size), ("parts", strategy.parts)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise ConfigurationError(f"{name}.{of} must be a whole number of at least 1, got {number!r}")
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not is_number or not 0 < seconds < math.inf:
        raise ConfigurationError(f"{name}.chunk_seconds must be a finite number above 0, got {seconds!r}")
