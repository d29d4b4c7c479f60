"""Round trips: what went into a store comes out of it equal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

import pytest

from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.queries import ALL_NAMES, Added
from conveyor.model.retry import by_name, exponential, fixed
from conveyor.model.states import Command, JobState
from conveyor.testing.conformance.kit import StoreKit
from conveyor.testing.conformance.workshop import QUEUE, Workshop, ending, lock_of

__all__ = ["RoundtripsConformance"]

MEGABYTE: Final = 1_000_000

PAYLOADS: Final = {
    "null": b"null",
    "true": b"true",
    "number": b"0",
    "float": b"-1.5e300",
    "big-integer": b"123456789012345678901234567890",
    "string": b'"text"',
    "empty-string": b'""',
    "string-of-json": rb'"{\"a\": 1}"',
    "string-of-a-number": b'"42"',
    "string-of-null": b'"null"',
    "array": b"[1,[2,[3,{}]]]",
    "object": b'{"b": 1, "a": {"b": [null, true]}}',
    "spaces": b'{ "a" :\t1 }\n',
    "same-key-twice": b'{"a": 1, "a": 2}',
    "unicode": '{"name": "Zoë 🚚 漢字 \u202e"}'.encode(),
    "escapes": rb'"\u0000\ud83d\ude9a\n"',
    "quotes": b'"it\'s; DROP TABLE jobs; -- $1 %s ?"',
    "megabyte": b'"' + b"x" * MEGABYTE + b'"',
}

NAMES: Final = {
    "longest": "n" * 255,
    "longest-unicode": "🚚" * 255,
    "quotes": 'it\'s "quoted" `twice`',
    "wildcards": "100%_\\*?",
    "spaces": " leading and trailing ",
    "dots": "a.b:c/d|e",
    "upper-case": "UPPER",
    "number": "42",
    "combining": "e\u0301",
}

OPTIONS: Final = {
    "defaults": JobOptions(),
    "attempts": JobOptions(attempts=1_000_000),
    "fixed": JobOptions(attempts=3, backoff=fixed("1.5s")),
    "exponential": JobOptions(backoff=exponential(0.000_001, factor=1.25, max="7 days", jitter=0.1)),
    "named": JobOptions(backoff=by_name("fibonacci ünïcode")),
    "priority": JobOptions(priority=-(2**31)),
    "highest-priority": JobOptions(priority=2**31 - 1),
    "lifo": JobOptions(lifo=True),
    "timeout": JobOptions(timeout=timedelta(days=3, microseconds=1)),
    "removal": JobOptions(remove_on_complete=True, remove_on_fail=True),
    "retention": JobOptions(remove_on_complete="7 days", remove_on_fail=timedelta(days=99, microseconds=1)),
    "removal-and-retention": JobOptions(remove_on_complete=True, remove_on_fail=1.5),
    "tags": JobOptions(tags=("b", "a", "a", "ünïcode", "")),
    "metadata": JobOptions(metadata={"trace": "00-ab", "ünïcode": '"{}"', "": ""}),
    "version": JobOptions(version=7),
    "everything": JobOptions(
        attempts=9,
        backoff=exponential("1s"),
        priority=5,
        lifo=True,
        timeout=timedelta(minutes=5),
        remove_on_complete=True,
        remove_on_fail=True,
        tags=("x",),
        metadata={"k": "v"},
        version=2,
    ),
}


class RoundtripsConformance(StoreKit):
    """Payloads, results, names and options are kept as they are, not as they look."""

    @pytest.mark.parametrize("case", PAYLOADS)
    async def test_a_payload_comes_back_byte_for_byte(self, workshop: Workshop, case: str) -> None:
        payload = PAYLOADS[case]
        await workshop.jobs.save_job(workshop.new("a", payload=payload))
        assert (await workshop.job("a")).payload == payload
        assert (await (await workshop.hand()).fetch_one()).payload == payload

    @pytest.mark.parametrize("case", PAYLOADS)
    async def test_a_result_comes_back_byte_for_byte(self, workshop: Workshop, case: str) -> None:
        job = await workshop.fetched("a")
        await workshop.settle(ending(lock_of(job), Command.COMPLETE, result=PAYLOADS[case]))
        assert (await workshop.job("a")).result == PAYLOADS[case]

    async def test_no_result_is_not_null(self, workshop: Workshop) -> None:
        job = await workshop.fetched("a")
        await workshop.settle(ending(lock_of(job), Command.COMPLETE, result=None))
        assert (await workshop.job("a")).result is None

    @pytest.mark.parametrize("case", NAMES)
    async def test_odd_names_come_back_equal(self, workshop: Workshop, case: str) -> None:
        name = NAMES[case]
        await workshop.jobs.save_job(workshop.new(name, queue=name, name=name))
        job = await workshop.jobs.get_job(name, name)
        assert job is not None
        assert (job.id, job.queue_name, job.name) == (name, name, name)
        (fetched,) = await (await workshop.hand()).fetch(queue=name, job_name=name)
        assert await workshop.settle(ending(lock_of(fetched), Command.COMPLETE, queue=name)) == []
        assert await workshop.queues.count_jobs(name, JobState.COMPLETED) == 1

    @pytest.mark.parametrize("case", NAMES)
    async def test_odd_names_can_be_paused(self, workshop: Workshop, case: str) -> None:
        name = NAMES[case]
        await workshop.jobs.save_job(workshop.new("a", queue=name, name=name))
        await workshop.queues.pause_job_name(name, name)
        assert await workshop.queues.get_paused_job_names(name) == {name}
        assert await workshop.fetch_order(queue=name) == []

    async def test_names_that_differ_in_case_are_different(self, workshop: Workshop) -> None:
        await workshop.add("job", "Job", "JOB")
        await workshop.add("other", queue=QUEUE.upper())
        assert await workshop.fetch_order() == ["job", "Job", "JOB"]
        assert await workshop.queues.count_jobs(QUEUE.upper(), JobState.WAITING) == 1

    async def test_names_that_are_composed_differently_are_different(self, workshop: Workshop) -> None:
        await workshop.add("\u00e9", "e\u0301")
        assert await workshop.fetch_order() == ["\u00e9", "e\u0301"]

    async def test_a_trailing_space_makes_another_id(self, workshop: Workshop) -> None:
        await workshop.add("a")
        receipt = await workshop.jobs.save_job(workshop.new("a ", payload=b"[1]"))
        assert receipt.outcome is Added.ADDED

    async def test_a_queue_may_bear_the_name_of_all_names(self, workshop: Workshop) -> None:
        await workshop.add("a", queue=ALL_NAMES)
        await workshop.add("b")
        assert await workshop.fetch_order(queue=ALL_NAMES) == ["a"]
        assert await workshop.fetch_order() == ["b"]

    @pytest.mark.parametrize("case", OPTIONS)
    async def test_options_come_back_equal(self, workshop: Workshop, case: str) -> None:
        options = OPTIONS[case]
        await workshop.jobs.save_job(NewJob("a", QUEUE, "pack", b"{}", options))
        assert (await workshop.job("a")).options == options
        fetched = await (await workshop.hand()).fetch_one()
        assert (fetched.options, fetched.priority) == (options, options.priority)

    async def test_what_was_handed_in_or_out_changes_nothing_more(self, workshop: Workshop) -> None:
        new = workshop.new("a", metadata={"trace": "00"})
        await workshop.jobs.save_job(new)
        new.options.metadata["trace"] = "changed"
        for job in (await workshop.job("a"), await (await workshop.hand()).fetch_one(), await workshop.job("a")):
            assert job.options.metadata == {"trace": "00"}
            job.state, job.attempts_made, job.token = JobState.FAILED, 9, None
            job.options.metadata["trace"] = "changed"
        job = await workshop.job("a")
        assert (job.state, job.attempts_made, job.options.metadata) == (JobState.ACTIVE, 0, {"trace": "00"})
        await workshop.finish(job)

    async def test_options_outlive_the_run(self, workshop: Workshop) -> None:
        options = OPTIONS["everything"]
        await workshop.jobs.save_job(NewJob("a", QUEUE, "pack", b"{}", options))
        await workshop.finish(await (await workshop.hand()).fetch_one(), Command.FAIL)
        assert (await workshop.job("a")).options == options

    async def test_times_come_back_in_utc(self, workshop: Workshop) -> None:
        due_at = datetime(2031, 6, 1, 12, 30, 15, 123_457, tzinfo=timezone(timedelta(hours=5, minutes=45)))
        await workshop.add("a", run_at=due_at)
        job = await workshop.job("a")
        assert job.run_at == due_at
        assert job.run_at.utcoffset() == timedelta(0)
        assert job.created_at.utcoffset() == timedelta(0)

    @pytest.mark.parametrize("year", [1970, 2038, 2999])
    async def test_times_far_away_come_back_equal(self, workshop: Workshop, year: int) -> None:
        at = datetime(year, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
        await workshop.add("a", run_at=at)
        is_past = at < workshop.clock.now()
        job = await workshop.job("a")
        assert job.state is (JobState.WAITING if is_past else JobState.DELAYED)
        assert is_past or job.run_at == at
