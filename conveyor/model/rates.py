"""The arithmetic of rates: when a start has room. Times and stretches are whole microseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conveyor.model.limits import RateLimit

__all__ = ["TURN", "bucket_level", "bucket_room_at", "bucket_use", "next_turn", "window_room_at"]

# What a turn costs a group of weight 1; it can be divided by most weights without a rest.
TURN = 5_040_000


def next_turn(start: int, weight: int) -> int:
    """Return where a group of this weight stands in the round once it was served, having begun at `start`.

    This is start-time fair queuing (Goyal, Vin, Cheng, 1996): a job begins where its group or the round stands,
    whichever is later, and moves its group on by the cost of a job divided by the group's weight.
    """
    return start + TURN // weight


def window_room_at(starts: Iterable[tuple[int, int]], used: int, limiter: RateLimit, weight: int, now: int) -> int:
    """Return from when on a start of this weight fits a sliding window.

    Args:
        starts: when those in the window began and what they weigh, oldest first.
        used: what they weigh together.
        limiter: the rate.
        weight: what the new one weighs.
        now: the time.
    """
    surplus = used + weight - limiter.max
    if surplus <= 0:
        return now
    for at, weighs in starts:
        surplus -= weighs
        if surplus <= 0:
            return at + limiter.per_micros
    return now


def bucket_level(level: int, at: int, limiter: RateLimit, now: int) -> int:
    """Return how full of starts a bucket is now that had this level at a time; a start is `per` high.

    So nothing is divided, and nothing rounded: in a microsecond it sinks by `max`.
    """
    return max(0, level - max(now - at, 0) * limiter.max)


def bucket_room_at(level: int, limiter: RateLimit, weight: int, now: int) -> int:
    """Return from when on a start of this weight fits a bucket with this level now."""
    surplus = level + (weight - limiter.capacity) * limiter.per_micros
    return now if surplus <= 0 else now + -(-surplus // limiter.max)


def bucket_use(level: int, limiter: RateLimit) -> int:
    """Return how many starts a level stands for, rounded up."""
    return -(-level // limiter.per_micros)
