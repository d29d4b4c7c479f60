"""Contexts of batch jobs as the classes that strategies of rows declare for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from attrs import fields, has

from conveyor.codec import JsonCodec, encode_json
from conveyor.contracts.row_batches import RowBatchStrategy
from conveyor.errors import BatchJobError, PayloadError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conveyor.contracts.batch_job import BatchJobStrategy

__all__ = ["check_params", "read_params"]

ParamsT = TypeVar("ParamsT")


def read_params(
    strategy: RowBatchStrategy[Any, ParamsT], context: Mapping[str, Any], decode: Callable[[bytes], ParamsT]
) -> ParamsT:
    """Return a context as the strategy's `params`.

    Args:
        strategy: whose.
        context: what a batch job is to do.
        decode: reads JSON into `params`.

    Raises:
        BatchJobError: it does not fit; the message names the field.
    """
    known = [attribute.name for attribute in fields(strategy.params)]  # type: ignore[arg-type] # of attrs, as the contract says
    for name in context:
        if name not in known:
            raise _refused(strategy, f"{name}: there is no such field; {did_you_mean(name, known)}")
    try:
        return decode(encode_json(dict(context)))
    except PayloadError as exc:
        # "$" is the context as a whole, which the message names already.
        where = exc.path.removeprefix("$").removeprefix(".")
        raise _refused(strategy, f"{where}: {exc.reason}" if where else exc.reason) from exc


def check_params(strategy: BatchJobStrategy, context: Mapping[str, Any]) -> None:
    """Refuse a context that a strategy will refuse, as far as that shows before the app is open.

    Raises:
        BatchJobError: it does not fit; the message names the field.
    """
    if not isinstance(strategy, RowBatchStrategy) or not has(getattr(strategy, "params", object)):
        return
    if type(strategy).prepare_batch_job_for_processing is RowBatchStrategy.prepare_batch_job_for_processing:
        # One that prepares contexts may be given what does not fit yet.
        read_params(strategy, context, JsonCodec().decoder(strategy.params))


def _refused(strategy: RowBatchStrategy[Any, Any], why: str) -> BatchJobError:
    return BatchJobError(
        f"the context does not fit batch jobs of type {strategy.batch_type!r}: {why}", batch_type=strategy.batch_type
    )
