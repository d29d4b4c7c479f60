"""Context and result of batch jobs: between JSON-like values and what is kept, by way of the app's payload codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from conveyor._services.sealing import opened_at, refuse_sealed
from conveyor.codec import decode_json, encode_json
from conveyor.errors import BatchJobError, PayloadError
from conveyor.model.payload import batch_place

if TYPE_CHECKING:
    from conveyor._services.services import Services
    from conveyor.model.batches.values import BatchJobData
    from conveyor.model.payload import PayloadPlace

__all__ = ["encoded", "opened_context", "opened_result", "sealed", "sealed_result"]


def encoded(values: object, what: Literal["context", "result"], batch_id: str, batch_type: str) -> bytes:
    """Return a context or a result as JSON.

    Raises:
        BatchJobError: it is no mapping of names to values that JSON has.
    """
    if not isinstance(values, Mapping) or not all(isinstance(name, str) for name in values):
        raise BatchJobError(
            f"the {what} of a batch job maps names to values, got {values!r}", batch_id=batch_id, batch_type=batch_type
        )
    try:
        return encode_json(dict(values))
    except PayloadError as exc:
        raise BatchJobError(
            f"the {what} of batch job {batch_id!r} has no JSON form at {exc.path}: {exc.reason}",
            batch_id=batch_id,
            batch_type=batch_type,
        ) from exc


def sealed(
    services: Services, kept: bytes, direction: Literal["batch context", "batch result"], batch_id: str, batch_type: str
) -> bytes:
    """Return JSON as it is kept."""
    codec = services.payload_codec
    return kept if codec is None else codec.seal(kept, batch_place(direction, batch_id, batch_type))


def sealed_result(services: Services, batch: BatchJobData, result: Mapping[str, Any]) -> bytes:
    """Return a result as it is kept; raises BatchJobError as `encoded` does."""
    kept = encoded(result, "result", batch.id, batch.batch_type)
    return sealed(services, kept, "batch result", batch.id, batch.batch_type)


def opened_context(services: Services, batch: BatchJobData) -> Mapping[str, Any]:
    """Return what a batch job is to do.

    Raises:
        PayloadError: it does not open.
    """
    opened = _opened(services, batch.context, batch_place("batch context", batch.id, batch.batch_type))
    return {} if opened is None else decode_json(opened)


def opened_result(services: Services, batch: BatchJobData) -> Mapping[str, Any] | None:
    """Return what came of a batch job so far; raises PayloadError as `opened_context` does."""
    opened = _opened(services, batch.result, batch_place("batch result", batch.id, batch.batch_type))
    return None if opened is None else decode_json(opened)


def _opened(services: Services, kept: bytes | None, place: PayloadPlace) -> bytes | None:
    if services.payload_codec is None:
        refuse_sealed(kept, place)
    return opened_at(services.payload_codec, kept, place)
