"""What the answer of a `reduce` must be, and the ready ones: dedupe, last_wins, union, chunk."""

from __future__ import annotations

import json
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import fields

from conveyor.errors import BufferError, ConfigurationError
from conveyor.model.buffers.values import BufferedJob
from conveyor.model.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
    from datetime import timedelta

    from conveyor.model.job import NewJob

    Key: TypeAlias = str | Callable[[BufferedJob], Hashable]
    Reduce: TypeAlias = Callable[[Sequence[BufferedJob]], Sequence[BufferedJob]]

__all__ = ["check_reduce", "check_reduced", "chunk", "dedupe", "last_wins", "later_expiries", "union"]

_PLAIN: Final = frozenset({str, int, bool, type(None)})
_LISTS: Final = frozenset({list, tuple})
# What jobs may differ in that meet in a helper: a trace that is in the metadata would keep all apart.
_LABELS: Final = frozenset({"tags", "metadata"})
_running: Final = attrgetter(*(it.name for it in fields(JobOptions) if it.name not in _LABELS))
# The key of a job that meets no other.
_APART: Final = object()


def check_reduced(buffer_id: str, given: Sequence[BufferedJob | NewJob], answer: object) -> dict[str, str]:
    """Return the job that does the work of each one that is not in the answer, by the other's id.

    `given` is what nobody could change since: a `reduce` that changes the jobs themselves is found out.
    Where the answer is one job, it does the work of all. Where there are several, each job that is left out must be
    among the `merged_ids` of one.

    Raises:
        BufferError: it is no list of jobs that were given, each once and in the queue and under the name it had, or
            says nothing of one.
    """
    jobs = _as_jobs(buffer_id, answer)
    known = {job.id: job for job in given}
    answered: set[str] = set()
    merged: dict[str, str] = {}
    for job in jobs:
        _check_known(buffer_id, job, known)
        for job_id in (job.id, *job.merged_ids):
            if job_id not in known:
                raise BufferError(buffer_id, f"reduce merged job {job_id!r}, which was not given to it")
            if job_id in answered:
                raise BufferError(buffer_id, f"reduce returned job {job_id!r} twice, or merged it twice")
            answered.add(job_id)
        merged.update(dict.fromkeys(job.merged_ids, job.id))
    silent = [job_id for job_id in known if job_id not in answered]
    if silent and len(jobs) != 1:
        raise BufferError(
            buffer_id,
            f"reduce said nothing of {len(silent)} of its {len(known)} jobs, such as {silent[0]!r}: return it, or "
            "another one with job.merging(it)",
        )
    merged.update(dict.fromkeys(silent, jobs[0].id if jobs else ""))
    return merged


def _as_jobs(buffer_id: str, answer: object) -> Sequence[BufferedJob]:
    if not isinstance(answer, (list, tuple)) or not all(isinstance(job, BufferedJob) for job in answer):
        raise BufferError(buffer_id, f"reduce must return a list of the jobs given to it, and returned {answer!r:.200}")
    return answer


def _check_known(buffer_id: str, job: BufferedJob, known: Mapping[str, BufferedJob | NewJob]) -> None:
    original = known.get(job.id)
    if original is None:
        raise BufferError(buffer_id, f"reduce returned job {job.id!r}, which was not given to it; ids stay as they are")
    expires_at = original.expires_at if isinstance(original, BufferedJob) else original.expires
    # A job that is due by now is shown without the time at which it became so.
    is_moved = job.run_at not in {None, original.run_at} or job.expires_at != expires_at
    same = (original.queue_name, original.name, original.options, original.deduplication)
    if is_moved or (job.queue_name, job.name, job.options, job.deduplication) != same:
        raise BufferError(buffer_id, f"reduce changed more of job {job.id!r} than its data")


def later_expiries(jobs: Mapping[str, NewJob], merged: Mapping[str, str]) -> dict[str, datetime | timedelta | None]:
    """Return until when jobs must have begun that do the work of others which may begin later, by their ids."""
    later: dict[str, datetime | timedelta | None] = {}
    for job_id, into in merged.items():
        mine, other = later.get(into, jobs[into].expires), jobs[job_id].expires
        if isinstance(mine, datetime) and (not isinstance(other, datetime) or other > mine):
            later[into] = other
    return later


def dedupe(key: Key) -> Reduce:
    """Return a `reduce` that keeps the first job of each key; the others are merged into it.

    Jobs meet that were added alike: those of one queue and name, which are due, expire if any does, and have the same
    options and deduplication. Only tags and metadata may differ, and when they expire.

    Args:
        key: the name of an argument, or a function of the job. A job that was added without this argument goes on as
            it is.

    Raises:
        ConfigurationError: it is neither.
    """
    key_of = _key_function(key)

    def reduce(jobs: Sequence[BufferedJob]) -> list[BufferedJob]:
        return [first.merging(*others) for first, *others in _grouped(jobs, key_of)]

    return reduce


def last_wins(key: Key) -> Reduce:
    """Return a `reduce` that keeps the last job of each key, at its place; those before are merged into it.

    Which jobs meet, and what a key is: as for `dedupe`.
    """
    key_of = _key_function(key)

    def reduce(jobs: Sequence[BufferedJob]) -> list[BufferedJob]:
        kept = {group[-1].id: group[-1].merging(*group[:-1]) for group in _grouped(jobs, key_of)}
        return [kept[job.id] for job in jobs if job.id in kept]

    return reduce


def union(field: str) -> Reduce:
    """Return a `reduce` that unites the lists in one argument, of jobs whose other arguments are equal.

    Items keep the order in which they came first; none stands there twice. The first job of each group stays. A job
    that was added without this argument, or in which it is no list, goes on as it is. Which others meet: as for
    `dedupe`.

    Raises:
        ConfigurationError: it is no name.
    """
    if not isinstance(field, str) or not field:
        raise ConfigurationError(f"union takes the name of an argument, got {field!r}")

    def key_of(job: BufferedJob) -> Hashable:
        if not isinstance(_argument(job, field), list):
            return _APART
        return _canonical({name: value for name, value in job.data.items() if name != field})

    def reduce(jobs: Sequence[BufferedJob]) -> list[BufferedJob]:
        answer: list[BufferedJob] = []
        for first, *others in _grouped(jobs, key_of):
            if not others and not isinstance(_argument(first, field), list):
                answer.append(first)
                continue
            items = [item for job in (first, *others) for item in job.data[field]]
            answer.append(first.merging(*others, data={**first.data, field: _distinct(items)}))
        return answer

    return reduce


def chunk(most: int, reduce: Reduce) -> Reduce:
    """Return a `reduce` that gives another at most so many jobs at once, so that no job does the work of more."""
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ConfigurationError(f"chunk takes a whole number of at least 1, got {most!r}")
    check_reduce(reduce, "chunk")

    def reduce_chunks(jobs: Sequence[BufferedJob]) -> list[BufferedJob]:
        return [job for start in range(0, len(jobs), most) for job in reduce(jobs[start : start + most])]

    return reduce_chunks


def check_reduce(given: object, of: str) -> None:
    """Refuse what is no function that reduces.

    Raises:
        ConfigurationError: it cannot be called, or is one of the helpers, which make such a function.
    """
    if not callable(given):
        raise ConfigurationError(f"reduce of a {of} must be a function, got {given!r}")
    if given in _HELPERS:
        name = given.__name__  # type: ignore[attr-defined]  # a function of this module
        raise ConfigurationError(f"reduce of a {of} is what {name} returns: give it arguments, as in reduce={name}(…)")


def _key_function(key: Key) -> Callable[[BufferedJob], Hashable]:
    if isinstance(key, str) and key:
        return partial(_argument_key, key)
    if not callable(key):
        raise ConfigurationError(f"a key is the name of an argument, or a function of a job, got {key!r}")
    return partial(_own_key, key)


def _argument_key(name: str, job: BufferedJob) -> Hashable:
    value = _argument(job, name)
    return value if value is _APART else _canonical(value)


def _own_key(key: Callable[[BufferedJob], Hashable], job: BufferedJob) -> Hashable:
    try:
        found = key(job)
        hash(found)
    except Exception as exc:
        raise ValueError(
            f"the key of job {job.id!r} ({job.queue_name}/{job.name}) cannot be had: {type(exc).__name__}: {exc}; mend "
            "the function, or remove the job"
        ) from exc
    return found


def _argument(job: BufferedJob, name: str) -> Any:
    """Return an argument of a job; `_APART` where it was left to its default."""
    return job.data.get(name, _APART) if isinstance(job.data, dict) else _APART


def _grouped(jobs: Sequence[BufferedJob], key_of: Callable[[BufferedJob], Hashable]) -> Iterable[Sequence[BufferedJob]]:
    groups: dict[Hashable, list[BufferedJob]] = {}
    for job in jobs:
        key = key_of(job)
        alike = job.id if key is _APART else (*_running(job.options), job.run_at, job.expires_at is None)
        groups.setdefault((job.queue_name, job.name, key, alike, job.deduplication), []).append(job)
    return groups.values()


def _distinct(items: Sequence[Any]) -> list[Any]:
    first: dict[Hashable, Any] = {}
    for item in items:
        first.setdefault(_canonical(item), item)
    return list(first.values())


def _canonical(value: Any) -> Hashable:
    """Return what is equal where JSON values are: 1, 1.0 and true are three, and the order of fields is none."""
    kind = type(value)
    # By hand: there are several for each job of a flush, and `json.dumps` makes an encoder for each.
    if kind in _PLAIN:
        return kind, value
    if kind is dict:
        return kind, tuple([(name, _canonical(value[name])) for name in sorted(value)])
    if kind in _LISTS:
        return list, tuple([_canonical(item) for item in value])
    return json.dumps(value, sort_keys=True)


_HELPERS: Final[tuple[object, ...]] = (chunk, dedupe, last_wins, union)
