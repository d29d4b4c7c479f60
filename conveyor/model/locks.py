"""Locks: the right of one run to write to its job, and how long that right may be trusted."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

__all__ = ["TRUST_MARGIN", "Lock", "LockToken", "is_expired", "renewal_interval_seconds", "trusted_until_seconds"]

# The share of a lock that a worker gives up early: it stops its handlers before the store may give their
# jobs away, and clocks drift, timers fire late and scopes need time to unwind.
TRUST_MARGIN: Final = 0.1


class LockToken(NamedTuple):
    """Names one fetch of one worker session; with a job id it names one run.

    `session_id` is 128 random bits in hex, made by the worker; `fetch_number` counts its fetches from 1.
    A token is never issued twice, whatever the store forgot.
    """

    session_id: str
    fetch_number: int

    def __str__(self) -> str:
        """Return the token as one word for messages and history."""
        return f"{self.session_id}.{self.fetch_number}"


class Lock(NamedTuple):
    """One held job: whose run it is."""

    job_id: str
    token: LockToken


def is_expired(expires_at: datetime, now: datetime) -> bool:
    """Return whether a lock that ends at `expires_at` is over; both are the store's time."""
    return expires_at <= now


def renewal_interval_seconds(lock_duration: timedelta) -> float:
    """Return how often to renew: a third of the lock, so that two renewals may fail before it ends."""
    return lock_duration.total_seconds() / 3


def trusted_until_seconds(renewal_started_seconds: float, lock_duration: timedelta) -> float:
    """Return until when, on the worker's monotonic clock, a lock may be trusted.

    It counts from when the renewal was *sent*: the store counts from when it arrived, which is later.
    """
    return renewal_started_seconds + lock_duration.total_seconds() * (1 - TRUST_MARGIN)
