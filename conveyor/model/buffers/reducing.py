"""What the answer of a `reduce` must be, and the ready ones: dedupe, last_wins, union, chunk."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from conveyor.errors import BufferError, ConfigurationError
from conveyor.model.buffers.values import BufferedJob

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from conveyor.model.job import NewJob

    Key: TypeAlias = str | Callable[[BufferedJob], Hashable]
    Reduce: TypeAlias = Callable[[Sequence[BufferedJob]], Sequence[BufferedJob]]

__all__ = ["check_reduced", "chunk", "dedupe", "last_wins", "union"]

_PLAIN: Final = frozenset({str, int, bool, type(None)})
_LISTS: Final = frozenset({list, tuple})


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
            f"reduce said nothing of job {silent[0]!r} and {len(silent) - 1} others: return it, or another one with "
            "job.merging(it)",
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
    if (job.queue_name, job.name, job.options) != (original.queue_name, original.name, original.options):
        raise BufferError(buffer_id, f"reduce changed more of job {job.id!r} than its data")


def dedupe(key: Key) -> Reduce:
    """Return a `reduce` that keeps the first job of each key; the others are merged into it.

    Args:
        key: the name of an argument, or a function of the job. Jobs of different queues or names never meet.
    """
    key_of = _key_function(key)

    def reduce(jobs: Sequence[BufferedJob]) -> list[BufferedJob]:
        return [first.merging(*others) for first, *others in _grouped(jobs, key_of)]

    return reduce


def last_wins(key: Key) -> Reduce:
    """Return a `reduce` that keeps the last job of each key, at its place; those before are merged into it."""
    key_of = _key_function(key)

    def reduce(jobs: Sequence[BufferedJob]) -> list[BufferedJob]:
        kept = {group[-1].id: group[-1].merging(*group[:-1]) for group in _grouped(jobs, key_of)}
        return [kept[job.id] for job in jobs if job.id in kept]

    return reduce


def union(field: str) -> Reduce:
    """Return a `reduce` that unites the lists in one argument, of jobs whose other arguments are equal.

    Items keep the order in which they came first; none stands there twice. The first job of each group stays.
    """
    if not isinstance(field, str):
        raise ConfigurationError(f"union takes the name of an argument, got {field!r}")

    def key_of(job: BufferedJob) -> Hashable:
        return _canonical({name: value for name, value in job.data.items() if name != field})

    def reduce(jobs: Sequence[BufferedJob]) -> list[BufferedJob]:
        answer: list[BufferedJob] = []
        for first, *others in _grouped(jobs, key_of):
            items = [item for job in (first, *others) for item in _list_of(job, field)]
            answer.append(first.merging(*others, data={**first.data, field: _distinct(items)}))
        return answer

    return reduce


def chunk(most: int, reduce: Reduce) -> Reduce:
    """Return a `reduce` that gives another at most so many jobs at once, so that no job does the work of more."""
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ConfigurationError(f"chunk takes a whole number of at least 1, got {most!r}")

    def reduce_chunks(jobs: Sequence[BufferedJob]) -> list[BufferedJob]:
        return [job for start in range(0, len(jobs), most) for job in reduce(jobs[start : start + most])]

    return reduce_chunks


def _key_function(key: Key) -> Callable[[BufferedJob], Hashable]:
    if isinstance(key, str):
        name = key
        return lambda job: _canonical(job.data[name])
    if not callable(key):
        raise ConfigurationError(f"a key is the name of an argument, or a function of a job, got {key!r}")
    return key


def _grouped(jobs: Sequence[BufferedJob], key_of: Callable[[BufferedJob], Hashable]) -> Iterable[Sequence[BufferedJob]]:
    groups: dict[Hashable, list[BufferedJob]] = {}
    for job in jobs:
        groups.setdefault((job.queue_name, job.name, key_of(job)), []).append(job)
    return groups.values()


def _list_of(job: BufferedJob, field: str) -> Sequence[Any]:
    items = job.data[field]
    if not isinstance(items, list):
        raise TypeError(f"argument {field!r} of job {job.id!r} is no list")
    return items


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
