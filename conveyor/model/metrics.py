"""Metrics: what is counted of runs as they are settled, and what is told of it: outcomes, times, depths of queues.

Times are kept as histograms whose buckets grow by the same factor: bucket ``i`` has those above ``2 ** ((i - 1) / 4)``
milliseconds and up to ``2 ** (i / 4)``. It is the sketch of Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable
quantile sketch with relative-error guarantees" (VLDB 2019), with the factor g = 2 ** (1/4): what is taken for a value
of a bucket, 2 * upper / (g + 1), is wrong by (g - 1) / (g + 1) = 8.7 % of it at most. Histograms add up without loss.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from math import ceil, log2
from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import Factory, frozen

from conveyor.model.job import AttemptOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from conveyor.model.settlement import Settlement
    from conveyor.model.states import JobState

__all__ = [
    "HOUR",
    "MINUTE",
    "RELATIVE_ERROR",
    "Counts",
    "Histogram",
    "Metrics",
    "QueueDepth",
    "RollUp",
    "Tally",
    "begin_of",
    "bucket_of",
    "merged",
    "roll_up_of",
    "stalls",
    "tally",
    "upper_seconds",
]

# How a store keeps what was counted: names to whole numbers, which add up. They are the outcomes, the microseconds
# waited and run in all, and the buckets of both histograms that are not empty: w-16 to w126, and r-16 to r126.
Counts: TypeAlias = dict[str, int]

MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)

PER_DOUBLING: Final = 4
# 62.5 microseconds and less; more than 30 days.
LOWEST: Final = -16
HIGHEST: Final = 126
RELATIVE_ERROR: Final = (2 ** (1 / PER_DOUBLING) - 1) / (2 ** (1 / PER_DOUBLING) + 1)

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_LOWEST_SECONDS: Final = 2 ** (LOWEST / PER_DOUBLING) / 1000
_WAIT: Final = {bucket: f"w{bucket}" for bucket in range(LOWEST, HIGHEST + 1)}
_RUN: Final = {bucket: f"r{bucket}" for bucket in range(LOWEST, HIGHEST + 1)}
_OUTCOMES: Final = {outcome: outcome.value for outcome in AttemptOutcome}
_WAITED, _RAN = "wait_us", "run_us"


def bucket_of(seconds: float) -> int:
    """Return the bucket of a histogram that a time belongs to.

    >>> bucket_of(0.001), bucket_of(0.002), bucket_of(0.0021), bucket_of(0.0), bucket_of(1e9)
    (0, 4, 5, -16, 126)
    """
    if seconds <= _LOWEST_SECONDS:
        return LOWEST
    return min(ceil(PER_DOUBLING * log2(seconds * 1000)), HIGHEST)


def upper_seconds(bucket: int) -> float:
    """Return the longest time that belongs to a bucket.

    >>> upper_seconds(0), upper_seconds(40), upper_seconds(126)
    (0.001, 1.024, inf)
    """
    return float("inf") if bucket >= HIGHEST else 2 ** (bucket / PER_DOUBLING) / 1000


@frozen
class Histogram:
    """How often times of which length were seen.

    Attributes:
        buckets: how many there were in each bucket that is not empty, the shortest first; see the module.
        total: all of them together.

    >>> times = Histogram({0: 90, 40: 10}, timedelta(seconds=10))
    >>> times.count, times.mean, round(times.percentile(50) or 0, 5), round(times.percentile(95) or 0, 3)
    (100, 0.1, 0.00091, 0.935)
    """

    buckets: Mapping[int, int] = Factory(dict)
    total: timedelta = timedelta(0)

    @property
    def count(self) -> int:
        """How many times there are."""
        return sum(self.buckets.values())

    @property
    def mean(self) -> float | None:
        """The mean in seconds, which is exact; None: there are none."""
        count = self.count
        return self.total.total_seconds() / count if count else None

    def percentile(self, percent: float) -> float | None:
        """Return the time in seconds that so many percent are no longer than; None: there are none.

        It is wrong by 8.7 % at most, for times between 0.06 milliseconds and 30 days.
        """
        seen, wanted = 0, self.count * percent / 100
        for bucket, number in self.buckets.items():
            seen += number
            if seen >= wanted:
                return _middle_seconds(bucket)
        return None

    def count_up_to(self, bucket: int) -> int:
        """Return how many are in this bucket and those of shorter times: ``upper_seconds(bucket)`` at most."""
        return sum(number for other, number in self.buckets.items() if other <= bucket)


def _middle_seconds(bucket: int) -> float:
    # The last has no upper end: where it begins is all that is known.
    upper = upper_seconds(min(bucket, HIGHEST - 1))
    return upper if bucket >= HIGHEST else 2 * upper / (2 ** (1 / PER_DOUBLING) + 1)


@frozen
class RollUp:
    """What was counted of the runs of one job name in a queue that ended in one span of time.

    Attributes:
        start: when the span begins, by the store's clock; None: with the first run there ever was.
        span: a minute, or an hour; None: up to where the oldest hour begins that is kept, or what several add up to.
        outcomes: how many runs ended how; those missing never.
        waits: from when jobs became due to when they were fetched.
        runs: from the start of the handler to its end.
    """

    queue_name: str
    name: str
    start: datetime | None = None
    span: timedelta | None = None
    outcomes: Mapping[AttemptOutcome, int] = Factory(dict)
    waits: Histogram = Factory(Histogram)
    runs: Histogram = Factory(Histogram)

    @property
    def count(self) -> int:
        """How many runs ended."""
        return sum(self.outcomes.values())


@frozen
class QueueDepth:
    """How many jobs of a queue are in each state that is not settled, and since when the oldest waits.

    `oldest_waiting_at` is when the waiting job became due that did so first; None: nothing waits.
    """

    queue_name: str
    counts: Mapping[JobState, int]
    oldest_waiting_at: datetime | None = None


@frozen
class Metrics:
    """The numbers of a store: how full its queues are now, and what was counted of runs that ended.

    Attributes:
        at: when it was read, by the store's clock.
        window: how far back the roll-ups go; None: to the beginning.
        depths: of each queue, by name.
        roll_ups: by their start, then queue and name.
    """

    at: datetime
    window: timedelta | None
    depths: Sequence[QueueDepth]
    roll_ups: Sequence[RollUp]

    def totals(self) -> Sequence[RollUp]:
        """Return what the spans of each job name add up to, by queue and name."""
        found: defaultdict[tuple[str, str], list[RollUp]] = defaultdict(list)
        for roll_up in self.roll_ups:
            found[roll_up.queue_name, roll_up.name].append(roll_up)
        return [_added_up(queue_name, name, found[queue_name, name]) for queue_name, name in sorted(found)]

    def total(self, queue_name: str | None = None) -> RollUp:
        """Return what everything adds up to, or everything of one queue; its `name` is empty."""
        chosen = [one for one in self.roll_ups if queue_name in (None, one.queue_name)]
        return _added_up(queue_name or "", "", chosen)


def _added_up(queue_name: str, name: str, roll_ups: Sequence[RollUp]) -> RollUp:
    outcomes: defaultdict[AttemptOutcome, int] = defaultdict(int)
    for one in roll_ups:
        for outcome, number in one.outcomes.items():
            outcomes[outcome] += number
    starts = [one.start for one in roll_ups if one.start is not None]
    start = min(starts) if starts and len(starts) == len(roll_ups) else None
    waits, runs = _union([one.waits for one in roll_ups]), _union([one.runs for one in roll_ups])
    return RollUp(queue_name, name, start, None, dict(outcomes), waits, runs)


def _union(histograms: Sequence[Histogram]) -> Histogram:
    buckets: defaultdict[int, int] = defaultdict(int)
    for histogram in histograms:
        for bucket, number in histogram.buckets.items():
            buckets[bucket] += number
    return Histogram(dict(sorted(buckets.items())), sum((one.total for one in histograms), timedelta(0)))


def begin_of(moment: datetime, span: timedelta) -> datetime:
    """Return when the span of this length began that a time is in: minutes and hours of UTC.

    >>> begin_of(datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC), HOUR).isoformat()
    '2030-01-02T03:00:00+00:00'
    """
    return moment - (moment - _EPOCH) % span


@frozen
class Tally:
    """What one call of a store counts for one job name of a queue."""

    queue_name: str
    name: str
    counts: Counts


def tally(settlements: Iterable[Settlement]) -> Sequence[Tally]:
    """Return what these ends of runs add to the metrics: once for each queue and name, in their order."""
    found: dict[tuple[str, str], list[Settlement]] = {}
    for settlement in settlements:
        key = (settlement.queue_name, settlement.name)
        ends = found.get(key)
        if ends is None:
            found[key] = [settlement]
        else:
            ends.append(settlement)
    return [Tally(*key, _counts(found[key])) for key in sorted(found)]


def _counts(ends: Sequence[Settlement]) -> Counts:
    # Lists counted by C: a loop that adds one at a time takes twice as long.
    counts = {_OUTCOMES[outcome]: number for outcome, number in Counter([end.outcome for end in ends]).items()}
    waits, runs = [end.wait_seconds for end in ends], [end.run_seconds for end in ends]
    for times, words, total in ((waits, _WAIT, _WAITED), (runs, _RUN, _RAN)):
        counts[total] = sum([int(seconds * 1_000_000) for seconds in times])
        for bucket, number in Counter([bucket_of(seconds) for seconds in times]).items():
            counts[words[bucket]] = number
    return counts


def stalls(jobs: Iterable[tuple[str, str]]) -> Sequence[Tally]:
    """Return what runs add whose workers died, each given by queue and name of its job; their times are not known."""
    found: defaultdict[tuple[str, str], int] = defaultdict(int)
    for key in jobs:
        found[key] += 1
    return [Tally(*key, {_OUTCOMES[AttemptOutcome.STALLED]: found[key]}) for key in sorted(found)]


def merged(all_counts: Iterable[Mapping[str, int]]) -> Counts:
    """Return what counts add up to."""
    sums: Counts = defaultdict(int)
    for counts in all_counts:
        for name, number in counts.items():
            sums[name] += number
    return dict(sums)


def roll_up_of(
    queue_name: str, name: str, counts: Mapping[str, int], *, start: datetime | None, span: timedelta | None
) -> RollUp:
    """Return what a store kept as a value."""
    return RollUp(
        queue_name,
        name,
        start,
        span,
        {outcome: counts[word] for outcome, word in _OUTCOMES.items() if word in counts},
        _histogram(counts, _WAIT, _WAITED),
        _histogram(counts, _RUN, _RAN),
    )


def _histogram(counts: Mapping[str, int], words: Mapping[int, str], total: str) -> Histogram:
    buckets = {bucket: counts[word] for bucket, word in words.items() if word in counts}
    return Histogram(buckets, timedelta(microseconds=counts.get(total, 0)))
