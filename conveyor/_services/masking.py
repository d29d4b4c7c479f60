"""The secrets of a job, also of one whose arguments are sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor._services.sealing import opened
from conveyor.codec import decode_json
from conveyor.errors import PayloadError

if TYPE_CHECKING:
    from conveyor.contracts.payload import PayloadCodec
    from conveyor.model.job import JobData
    from conveyor.model.masking import Masking

__all__ = ["secrets_of"]


def secrets_of(job: JobData, masking: Masking, codec: PayloadCodec | None) -> frozenset[str]:
    """Return what the masked fields of a job's arguments and metadata hold: what its texts are shown without.

    Sealed arguments that do not open, for want of a codec or of its key, tell nothing.
    """
    try:
        payload = opened(codec, job).payload
    except PayloadError:
        payload = job.payload
    return masking.secrets([decode_json(payload), job.options.metadata])
