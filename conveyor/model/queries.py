"""Questions to a store and their answers: what to fetch, filters, pages, counts, receipts."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from conveyor.errors import ConfigurationError
from conveyor.model import filter_fields
from conveyor.model.checks import is_not_negative
from conveyor.model.filter_fields import is_moment, is_words
from conveyor.model.states import JobState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor.model.job import JobData

__all__ = [
    "ALL_NAMES",
    "AddReceipt",
    "Added",
    "JobFilter",
    "Page",
    "QueueInfo",
    "QueueStatus",
    "StoreStats",
    "Want",
    "check_filter",
    "matches",
]

# The seed's name for "every job name of the queue": pausing it pauses the queue.
ALL_NAMES: Final = "__all__"


@frozen
class Want:
    """How many jobs to fetch from one queue, newest first or not, and optionally of one name only.

    With `is_suspect` one job is meant, whatever the limit and `lifo` say, of those that stalled before. Jobs of
    the groups to exclude are passed over.
    """

    queue_name: str
    limit: int
    lifo: bool = False
    job_name: str | None = None
    is_suspect: bool = False
    exclude_groups: tuple[str, ...] = ()


class Added(StrEnum):
    """What became of a job that was added."""

    ADDED = "added"
    # Another job has its id.
    DUPLICATE = "duplicate"
    # Another job holds its deduplication key; each is the answer of one mode.
    KEPT = "kept"
    REPLACED = "replaced"
    POSTPONED = "postponed"
    THROTTLED = "throttled"
    REJECTED = "rejected"
    GROUP_FULL = "group_full"
    # A buffer collected it.
    BUFFERED = "buffered"


@define
class AddReceipt:
    """What became of one added job: `job_id` is its id, or that of the job that already had the id or holds the key.

    `job` is the one that holds the key, as the store saw it right after the add; None: nothing was met, it is gone, or
    the store did not look. Two receipts are equal whether or not they bring it.

    Treat it as frozen: it is not, because it is made once per job.
    """

    job_id: str
    outcome: Added = Added.ADDED
    job: JobData | None = field(default=None, eq=False, repr=False)


@frozen
class JobFilter:
    """Which jobs are meant. Every field given must match; an empty filter means all jobs.

    `text` is looked for in the job's name, ids and payload, upper and lower case alike; `error` in the type and the
    message of its error; `error_group` is the id of a group of failed jobs. Times from are inclusive, times to
    exclusive; one that has not ended was finished never.

    Raises:
        ConfigurationError: a field is of another kind; a lone string is not several, and times need a time zone.
    """

    queue_names: tuple[str, ...] = field(default=(), converter=filter_fields.queue_names)
    names: tuple[str, ...] = field(default=(), converter=filter_fields.names)
    states: tuple[JobState, ...] = field(default=(), converter=filter_fields.states)
    tags: tuple[str, ...] = field(default=(), converter=filter_fields.tags)
    text: str = field(default="", validator=is_words)
    created_from: datetime | None = field(default=None, validator=is_moment)
    created_to: datetime | None = field(default=None, validator=is_moment)
    finished_from: datetime | None = field(default=None, validator=is_moment)
    finished_to: datetime | None = field(default=None, validator=is_moment)
    error: str = field(default="", validator=is_words)
    min_attempts: int = field(default=0, validator=is_not_negative)
    error_group: str = field(default="", validator=is_words)


def check_filter(wanted: JobFilter) -> JobFilter:
    """Return the filter if it is one: what changes jobs must not take nothing for everything.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(wanted, JobFilter):
        raise ConfigurationError(
            f"which jobs are meant is said by a JobFilter(...), got {wanted!r}; JobFilter() means all jobs"
        )
    return wanted


def matches(job: JobData, wanted: JobFilter) -> bool:
    """Return whether a job is one of those meant: the reference for what stores do in their own language."""
    return (
        (not wanted.queue_names or job.queue_name in wanted.queue_names)
        and (not wanted.names or job.name in wanted.names)
        and (not wanted.states or job.state in wanted.states)
        and all(tag in job.options.tags for tag in wanted.tags)
        and _is_between(job.created_at, wanted.created_from, wanted.created_to)
        and _is_between(job.finished_at, wanted.finished_from, wanted.finished_to)
        and job.attempts_made >= wanted.min_attempts
        and (not wanted.text or _has_text(wanted.text, job.id, job.name, job.payload.decode("utf-8")))
        and (not wanted.error or (job.error is not None and _has_text(wanted.error, job.error.type, job.error.message)))
        and (not wanted.error_group or _is_in_group(job, wanted.error_group))
    )


def _is_in_group(job: JobData, error_group: str) -> bool:
    return job.state is JobState.FAILED and job.error is not None and job.error.fingerprint == error_group


def _is_between(moment: datetime | None, start: datetime | None, end: datetime | None) -> bool:
    if moment is None:
        return start is None and end is None
    return (start is None or moment >= start) and (end is None or moment < end)


def _has_text(text: str, *hay: str) -> bool:
    # ASCII case only, which every store can do alike.
    needle = _ascii_lower(text)
    return any(needle in _ascii_lower(straw) for straw in hay)


def _ascii_lower(text: str) -> str:
    return text.encode("utf-8").lower().decode("utf-8")


@frozen
class Page:
    """Some jobs in order of their ids, newest first; give `next_cursor` to get those after them.

    `at` is when it was read, by the store's clock.
    """

    jobs: Sequence[JobData]
    next_cursor: str | None
    at: datetime


@frozen
class QueueInfo:
    """A queue as an operator sees it: how many jobs in each state, what is paused, how old the oldest is."""

    name: str
    counts: Mapping[JobState, int]
    paused_names: frozenset[str]
    oldest_waiting_at: datetime | None = None

    @property
    def is_paused(self) -> bool:
        """Whether the whole queue is paused."""
        return ALL_NAMES in self.paused_names


@frozen
class QueueStatus:
    """A queue as one process sees it.

    Attributes:
        name: its name, the app's prefix included.
        handlers: the names of the jobs that it has handlers for here; ``*`` is a handler for every other name.
        is_running: whether jobs of it are run here at the moment.
    """

    name: str
    handlers: tuple[str, ...]
    is_running: bool


@frozen
class StoreStats:
    """How large a store is, in bytes on disk (None: it is on none), and what ended in it lately and is still kept."""

    size_bytes: int | None
    settled: Mapping[JobState, int]
