"""What happens in the buffers of one program, as events and as counts."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from attrs import evolve, frozen

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["BufferCounts", "BufferEvent", "BufferEventKind", "counted"]


class BufferEventKind(StrEnum):
    """What happened: jobs were put into a buffer; some were reduced and added; reducing failed; a flush ended."""

    COLLECTED = "collected"
    REDUCED = "reduced"
    REDUCE_FAILED = "reduce_failed"
    FLUSHED = "flushed"


@frozen
class BufferEvent:
    """One event of one buffer.

    Attributes:
        jobs: how many jobs were collected, reduced, or could not be; of FLUSHED, how many were taken in all.
        added: of REDUCED and FLUSHED, how many jobs were added to queues in their place.
        merged: of REDUCED, how many jobs went into others.
        dead_letters: of REDUCED, how many failed at once, since they could not be reduced, or the job queue refused
            them.
        error: of REDUCE_FAILED, the error.
    """

    kind: BufferEventKind
    buffer_id: str
    at: datetime
    jobs: int
    added: int = 0
    merged: int = 0
    dead_letters: int = 0
    error: str = ""


@frozen
class BufferCounts:
    """What happened to a buffer in this program since it was started.

    Attributes:
        collected: jobs that were put into it; those of a transaction that was rolled back, too.
        reduced: jobs that went into others, or through.
        added: jobs that were added to queues in their place.
        flushes: flushes that ended well, those of an empty buffer left out.
        failures: how often reducing failed.
        merged: jobs that went into others: by `reduce`, or since they met a deduplication key.
        dead_letters: jobs that were added as failed ones, since they could not be reduced, or the job queue refused
            them.
    """

    collected: int = 0
    reduced: int = 0
    added: int = 0
    flushes: int = 0
    failures: int = 0
    merged: int = 0
    dead_letters: int = 0


def counted(
    counts: BufferCounts, kind: BufferEventKind, jobs: int, added: int = 0, *, merged: int = 0, dead_letters: int = 0
) -> BufferCounts:
    """Return the counts with one more event, of so many jobs."""
    match kind:
        case BufferEventKind.COLLECTED:
            return evolve(counts, collected=counts.collected + jobs)
        case BufferEventKind.REDUCED:
            return evolve(
                counts,
                reduced=counts.reduced + jobs,
                added=counts.added + added,
                merged=counts.merged + merged,
                dead_letters=counts.dead_letters + dead_letters,
            )
        case BufferEventKind.REDUCE_FAILED:
            return evolve(counts, failures=counts.failures + 1)
        case BufferEventKind.FLUSHED:
            return evolve(counts, flushes=counts.flushes + 1)
