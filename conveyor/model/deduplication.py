"""Deduplication: not adding a job twice. What is asked, and what an add does where another job holds its key."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from conveyor.errors import ConfigurationError
from conveyor.model.checks import check_name, is_bool, longer_than_zero
from conveyor.model.queries import Added
from conveyor.model.states import LIVE_STATES, JobState

if TYPE_CHECKING:
    from collections.abc import Collection

    from attrs import Attribute

    from conveyor.model.durations import Duration
    from conveyor.model.job import NewJob

__all__ = [
    "ANSWERS_REMEMBERED",
    "CHANGEABLE_STATES",
    "OUTCOMES",
    "Deduplication",
    "DeduplicationMode",
    "add_digest",
    "digest_of",
    "is_held",
]

# The states in which an add may still change the job that holds its key: no run of it goes on.
CHANGEABLE_STATES: Final = frozenset({JobState.WAITING, JobState.DELAYED})


class DeduplicationMode(StrEnum):
    """What an add does whose key is held by another job."""

    KEEP = "keep"
    REPLACE = "replace"
    DEBOUNCE = "debounce"
    THROTTLE = "throttle"
    REJECT = "reject"


# What an add answers that met a key which is held.
OUTCOMES: Final = MappingProxyType(
    {
        DeduplicationMode.KEEP: Added.KEPT,
        DeduplicationMode.REPLACE: Added.REPLACED,
        DeduplicationMode.DEBOUNCE: Added.POSTPONED,
        DeduplicationMode.THROTTLE: Added.THROTTLED,
        DeduplicationMode.REJECT: Added.REJECTED,
    }
)
# The same add again, within so long, is answered as it was the first time.
ANSWERS_REMEMBERED: Final = timedelta(minutes=1)

_CHANGING: Final = frozenset({DeduplicationMode.REPLACE, DeduplicationMode.DEBOUNCE})


def _mode(value: str) -> DeduplicationMode:
    if type(value) is DeduplicationMode:
        return value  # as nearly all are: to look a member up costs more than all else here
    try:
        return DeduplicationMode(value)
    except ValueError:
        known = ", ".join(DeduplicationMode)
        raise ConfigurationError(f"mode of Deduplication must be one of {known}, got {value!r}") from None


def _ttl(value: Duration | None) -> timedelta | None:
    return None if value is None else longer_than_zero(value, "ttl of Deduplication")


def _states(value: Collection[JobState | str] | None) -> frozenset[JobState] | None:
    if value is None:
        return None
    try:
        states = frozenset(JobState(state) for state in value)
    except (TypeError, ValueError):
        states = frozenset()
    if isinstance(value, str) or not states:
        raise ConfigurationError(f"states of Deduplication must be some of {', '.join(JobState)}, got {value!r}")
    return states


def _key(_: object, __: Attribute[str | None], value: str | None) -> None:
    if value is not None:
        check_name(value, "key of Deduplication")


@frozen
class Deduplication:
    """When a job counts as added already, and what its add does then. The queue and the job's name belong to the key.

    Attributes:
        key: 1 to 255 characters; jobs with the same key are the same.
        hash: take the arguments for the key, whatever the order of their fields; either this or `key`.
        ttl: how long a job holds its key at most, from its add; None: for as long as its state says. Throttling needs
            it: it is the window.
        mode: ``keep`` keeps the job that is there. ``replace`` gives it the arguments, options and delay of the new
            one. ``debounce`` puts it off, to when the new one would be due, and leaves the rest. ``throttle`` adds one
            job per `ttl`, whatever becomes of it. ``reject`` raises DuplicateJobError.
        states: in which states a job holds its key; None: until it settles, or, where the mode changes it, until it
            starts.
    """

    key: str | None = field(default=None, validator=_key)
    hash: bool = field(default=False, validator=is_bool)
    ttl: timedelta | None = field(default=None, converter=_ttl)
    mode: DeduplicationMode = field(default=DeduplicationMode.KEEP, converter=_mode)
    states: frozenset[JobState] | None = field(default=None, converter=_states)

    def __attrs_post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if (self.key is None) is not self.hash:
            raise ConfigurationError("Deduplication takes either key= or hash=True")
        if self.mode is DeduplicationMode.THROTTLE:
            if self.ttl is None:
                raise ConfigurationError("Deduplication with mode='throttle' needs ttl=, the length of its window")
            if self.states is not None:
                raise ConfigurationError("Deduplication with mode='throttle' takes no states: only its ttl counts")
        elif self.mode in _CHANGING and not self.held_in <= CHANGEABLE_STATES:
            known = ", ".join(sorted(CHANGEABLE_STATES))
            raise ConfigurationError(
                f"Deduplication with mode={self.mode.value!r} changes a job that no run has begun: "
                f"its states can be {known}, got {', '.join(sorted(self.held_in))}"
            )

    @property
    def held_in(self) -> frozenset[JobState]:
        """The states in which a job holds its key."""
        if self.states is not None:
            return self.states
        return CHANGEABLE_STATES if self.mode in _CHANGING else LIVE_STATES

    def with_key(self, key: str) -> Deduplication:
        """Return it with this key in place of its own, or of the arguments."""
        return Deduplication(key, ttl=self.ttl, mode=self.mode, states=self.states)


def add_digest(job: NewJob) -> bytes:
    """Return 16 bytes by which stores know the same add again where it left no job: its id, place and payload."""
    return digest_of(job.id, job.queue_name, job.name, job.payload)


def digest_of(job_id: str, queue_name: str, name: str, payload: bytes) -> bytes:
    """Return what `add_digest` does of a job that was added with these."""
    # None of the three holds a control character.
    place = f"{job_id}\0{queue_name}\0{name}\0".encode()
    return hashlib.blake2b(place + payload, digest_size=16).digest()


def is_held(asked: Deduplication, state: JobState | None, *, has_window: bool) -> bool:
    """Return whether a key, whose time is not over, is held, as an add asks.

    Args:
        asked: what the add wants.
        state: where the job stands that took the key last; None: it is gone.
        has_window: whether the job took it for a time.
    """
    if asked.mode is DeduplicationMode.THROTTLE and has_window:
        return True
    return state in asked.held_in
