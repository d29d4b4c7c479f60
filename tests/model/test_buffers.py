"""Buffers as values: reducing, what its answer must be, and when a buffer is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from conveyor.errors import BufferError, ConfigurationError
from conveyor.model.buffers.dead_letters import dead_letters_of
from conveyor.model.buffers.job_buffer import JobBuffer, ReduceErrorPolicy, as_job_buffer, due_at
from conveyor.model.buffers.reducing import check_reduced, chunk, dedupe, last_wins, later_expiries, union
from conveyor.model.buffers.values import BufferedJob, BufferSize, FlushPlan, shown_as, timed_from, traces_of
from conveyor.model.deduplication import Deduplication
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions
from conveyor.model.queries import Added, AddReceipt
from conveyor.model.retry import fixed

if TYPE_CHECKING:
    from collections.abc import Sequence

NOON = datetime(2031, 5, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DEFAULTS = JobOptions()


def job_of(number: int, *, name: str = "reindex", **data: Any) -> BufferedJob:
    return BufferedJob(f"id-{number}", "search", name, data, DEFAULTS, NOON)


def new_job(id: str, **keywords: Any) -> NewJob:
    return NewJob(id, "search", "reindex", b"{}", DEFAULTS, **keywords)


def shown(jobs: Any) -> list[tuple[str, Any, tuple[str, ...]]]:
    return [(job.id, job.data, job.merged_ids) for job in jobs]


JOBS = [job_of(1, shop="a", ids=[1, 2]), job_of(2, shop="b", ids=[3]), job_of(3, shop="a", ids=[2, 4])]


def test_dedupe_keeps_the_first_of_each_key() -> None:
    expected = [("id-1", JOBS[0].data, ("id-3",)), ("id-2", JOBS[1].data, ())]
    assert shown(dedupe("shop")(JOBS)) == expected
    assert shown(dedupe(lambda job: job.data["shop"])(JOBS)) == expected


def test_last_wins_keeps_the_last_of_each_key_at_its_place() -> None:
    assert shown(last_wins("shop")(JOBS)) == [("id-2", JOBS[1].data, ()), ("id-3", JOBS[2].data, ("id-1",))]


def test_union_unites_a_list_where_all_else_is_equal() -> None:
    assert shown(union("ids")(JOBS)) == [
        ("id-1", {"shop": "a", "ids": [1, 2, 4]}, ("id-3",)),
        ("id-2", {"shop": "b", "ids": [3]}, ()),
    ]
    assert JOBS[0].data == {"shop": "a", "ids": [1, 2]}


def test_items_that_are_no_scalars_are_united_too() -> None:
    jobs = [job_of(1, ids=[{"a": 1, "b": 2}]), job_of(2, ids=[{"b": 2, "a": 1}, [1]])]
    assert union("ids")(jobs)[0].data == {"ids": [{"a": 1, "b": 2}, [1]]}


def test_values_of_different_kinds_are_different() -> None:
    items = [1, 1.0, True, "1", None, "null", [1], [[1]], {"a": 1}, {"a": True}]
    united = union("ids")([job_of(1, ids=items), job_of(2, ids=items[::-1])])[0].data["ids"]
    assert [repr(item) for item in united] == [repr(item) for item in items]
    jobs = [job_of(number, key=item, ids=[number]) for number, item in enumerate(items)]
    assert len(union("ids")(jobs)) == len(dedupe("key")(jobs)) == len(items)


def test_names_never_meet() -> None:
    jobs = [job_of(1, ids=[1]), job_of(2, name="other", ids=[1])]
    assert len(dedupe("ids")(jobs)) == len(union("ids")(jobs)) == len(last_wins("ids")(jobs)) == 2


def test_chunks_are_reduced_by_themselves() -> None:
    jobs = [job_of(number, ids=[number]) for number in range(5)]
    assert [job.data["ids"] for job in chunk(2, union("ids"))(jobs)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(
    ("helper", "wrong"),
    [
        (chunk, (0, list)),
        (chunk, (10, "x")),
        (chunk, (10, None)),
        (chunk, (10, union)),
        (dedupe, (1,)),
        (dedupe, ("",)),
        (last_wins, (None,)),
        (union, (lambda _: 1,)),
        (union, ("",)),
    ],
)
def test_helpers_refuse_what_they_cannot_use(helper: Any, wrong: Any) -> None:
    with pytest.raises(ConfigurationError):
        helper(*wrong)


@given(st.lists(st.sampled_from("abc")), st.integers(1, 4))
def test_every_helper_accounts_for_every_job(shops: list[str], most: int) -> None:
    jobs = [job_of(number, shop=shop, ids=[number]) for number, shop in enumerate(shops)]
    for reduce in (dedupe("shop"), last_wins("shop"), union("ids"), chunk(most, union("ids"))):
        answer = reduce(jobs)
        merged = check_reduced("b", jobs, answer)
        assert {job.id for job in answer} | merged.keys() == {job.id for job in jobs}
        assert len(answer) + len(merged) == len(jobs)


def test_one_answer_does_the_work_of_all() -> None:
    assert check_reduced("b", JOBS, [JOBS[1]]) == {"id-1": "id-2", "id-3": "id-2"}
    assert check_reduced("b", [], []) == {}


@pytest.mark.parametrize(
    "changed", [{"run_at": NOON + SECOND}, {"expires_at": None}, {"deduplication": Deduplication(key="k")}]
)
def test_a_reduce_that_moves_a_job_is_found_out(changed: Any) -> None:
    original = new_job("a", run_at=NOON, expires=NOON + SECOND)
    seen = shown_as(original, {}, NOON, NOON)
    assert check_reduced("b", [original], [seen]) == {}
    with pytest.raises(BufferError, match="changed more of job 'a' than its data"):
        check_reduced("b", [original], [evolve(seen, **changed)])


def test_a_job_that_was_changed_itself_is_found_out() -> None:
    job = job_of(1)
    job.queue_name = "elsewhere"
    with pytest.raises(BufferError, match="changed more of job 'id-1' than its data"):
        check_reduced("b", [new_job("id-1")], [job])


def test_dead_letters_are_told_apart_by_queue_name_and_removal() -> None:
    jobs = [
        new_job("a"),
        new_job("b"),
        evolve(new_job("c"), options=evolve(DEFAULTS, remove_on_fail=True)),
        new_job("d"),
        evolve(new_job("e"), queue_name="other"),
        new_job("there"),
    ]
    receipts = [AddReceipt(job.id) for job in jobs]
    receipts[3] = AddReceipt("holder", Added.KEPT)
    plan = FlushPlan([job.id for job in jobs], jobs, {}, failure="why")
    found = dead_letters_of(plan, receipts, {"there"})
    assert [(one.queue_name, one.removal, one.job_ids) for one in found] == [
        ("search", False, ["a", "b"]),
        ("search", True, ["c"]),
        ("other", False, ["e"]),
    ]
    assert {one.error.message for one in found} == {"why"}
    assert found[0].error.fingerprint == found[1].error.fingerprint != found[2].error.fingerprint
    assert dead_letters_of(evolve(plan, failure=None), receipts, ()) == []


def test_merging_a_merged_job_takes_all_of_its_work() -> None:
    both = JOBS[1].merging(JOBS[2])
    assert JOBS[0].merging(both, data=1) == BufferedJob(
        "id-1", "search", "reindex", 1, DEFAULTS, NOON, ("id-2", "id-3")
    )
    with pytest.raises(BufferError, match="said nothing of 1 of its 3 jobs, such as 'id-3'"):
        check_reduced("b", JOBS, [JOBS[0], JOBS[1]])


def test_what_counts_from_the_add_is_a_time() -> None:
    timed = timed_from(new_job("a", delay=SECOND, expires=2 * SECOND), NOON)
    assert (timed.delay, timed.run_at, timed.expires) == (None, NOON + SECOND, NOON + 2 * SECOND)
    for_ever = timed_from(new_job("a", delay=timedelta.max, expires=timedelta.max), NOON)
    assert for_ever.run_at == for_ever.expires == datetime.max.replace(tzinfo=UTC)


def test_a_job_that_met_a_key_passes_on_what_went_into_it() -> None:
    plan = FlushPlan([*"abc"], [new_job("a"), new_job("b")], {"c": "a", "b": "b"})
    receipts = [AddReceipt("x", Added.KEPT), AddReceipt("b")]
    assert traces_of(plan, receipts) == {"a": "x", "c": "x", "b": "b"}


SIZE = BufferSize(jobs=10, bytes=200, oldest_at=NOON, newest_at=NOON + 30 * SECOND)


@pytest.mark.parametrize(
    ("triggers", "at"),
    [
        ({}, None),
        ({"max_jobs": 11}, None),
        ({"max_jobs": 10}, NOON),
        ({"max_bytes": 201}, None),
        ({"max_bytes": 200}, NOON),
        ({"max_age": "1 minute"}, NOON + 60 * SECOND),
        ({"idle": "1 minute"}, NOON + 90 * SECOND),
        ({"idle": "1 minute", "max_age": "80s"}, NOON + 80 * SECOND),
        ({"cron": "0 13 * * *"}, NOON + timedelta(hours=1)),
        ({"cron": "0 13 * * *", "tz": "Asia/Tokyo"}, NOON + timedelta(hours=16)),
    ],
)
def test_the_first_trigger_says_when_a_buffer_is_due(triggers: Any, at: datetime | None) -> None:
    buffer = JobBuffer("b", collect=bool, reduce=list, **triggers)
    assert due_at(buffer, SIZE) == at
    assert buffer.has_triggers is bool(triggers)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"id": ""}, "buffer id"),
        ({"collect": None}, "collect of a JobBuffer"),
        ({"reduce": 1}, "reduce of a JobBuffer"),
        ({"reduce": dedupe}, r"reduce=dedupe\("),
        ({"reduce": chunk}, r"reduce=chunk\("),
        ({"tz": "Asia/Tokyo"}, "tz of a JobBuffer is the time zone of its cron"),
        ({"max_jobs": 0}, "max_jobs"),
        ({"max_bytes": "1"}, "max_bytes"),
        ({"max_age": 0}, "max_age of a JobBuffer"),
        ({"idle": "soon"}, "idle of a JobBuffer"),
        ({"cron": "often"}, "cron"),
        ({"cron": "* * * * *", "tz": "Mars"}, "Mars"),
        ({"flush_on_shutdown": 1}, "flush_on_shutdown"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"on_reduce_error": "shrug"}, "keep, add_originals, dead_letter"),
    ],
)
def test_options_that_make_no_sense_are_named(wrong: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        JobBuffer(**{"id": "b", "collect": bool, "reduce": list, **wrong})


def test_a_policy_is_given_by_its_word() -> None:
    buffer = JobBuffer("b", collect=bool, reduce=list, on_reduce_error="dead_letter")
    assert buffer.on_reduce_error is ReduceErrorPolicy.DEAD_LETTER


class OwnBuffer:
    """A buffer of a user's own class."""

    id = "own"
    max_age = "10 seconds"

    def collect(self, job: BufferedJob) -> bool:
        return job.name == "reindex"

    def reduce(self, jobs: Sequence[BufferedJob]) -> Sequence[BufferedJob]:
        return jobs[:1]


def test_a_class_of_ones_own_is_a_buffer_with_whatever_it_says() -> None:
    own = OwnBuffer()
    buffer = as_job_buffer(own)
    assert (buffer.id, buffer.max_age, buffer.max_jobs) == ("own", timedelta(seconds=10), None)
    assert (buffer.collect(JOBS[0]), buffer.reduce(JOBS)) == (True, JOBS[:1])
    assert as_job_buffer(own) == buffer
    assert as_job_buffer(OwnBuffer()) != buffer


def test_a_class_in_place_of_a_buffer_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"OwnBuffer\(\)"):
        as_job_buffer(OwnBuffer)


def test_what_lacks_a_part_of_a_buffer_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigurationError, match="has no collect and no reduce"):
        as_job_buffer(job_of(1))


def with_options(job: BufferedJob, **options: Any) -> BufferedJob:
    placed = {name: options.pop(name) for name in ("run_at", "expires_at", "deduplication") if name in options}
    return evolve(job, options=evolve(DEFAULTS, **options), **placed)


HELPERS = [dedupe("shop"), last_wins("shop"), union("ids")]


@pytest.mark.parametrize("reduce", HELPERS)
@pytest.mark.parametrize(
    "different",
    [
        {"attempts": 5},
        {"backoff": fixed("1s")},
        {"priority": -10},
        {"lifo": True},
        {"timeout": "1s"},
        {"remove_on_complete": True},
        {"remove_on_fail": "1 day"},
        {"on_child_failure": "ignore"},
        {"version": 2},
        {"group": "tenant-b"},
        {"run_at": NOON + SECOND},
        {"expires_at": NOON + SECOND},
        {"deduplication": Deduplication(key="k")},
    ],
)
def test_jobs_that_run_otherwise_never_meet_in_the_helpers(reduce: Any, different: Any) -> None:
    jobs = [job_of(1, shop="a", ids=[1]), with_options(job_of(2, shop="a", ids=[1]), **different)]
    assert shown(reduce(jobs)) == shown(jobs)


@pytest.mark.parametrize("reduce", HELPERS)
@pytest.mark.parametrize(
    "alike",
    [
        ({"tags": ["x"]}, {"metadata": {"trace": "1"}}),
        ({"group": "g", "attempts": 2}, {"group": "g", "attempts": 2, "tags": ["y"]}),
        ({"run_at": NOON}, {"run_at": NOON}),
        ({"expires_at": NOON}, {"expires_at": NOON + SECOND}),
        ({"deduplication": Deduplication(key="k")}, {"deduplication": Deduplication(key="k")}),
    ],
)
def test_jobs_that_run_alike_meet_whatever_they_are_labelled(reduce: Any, alike: Any) -> None:
    (one,) = reduce([with_options(job_of(number, shop="a", ids=[1]), **it) for number, it in enumerate(alike)])
    assert len(one.merged_ids) == 1


@pytest.mark.parametrize("reduce", [*HELPERS, chunk(10, union("ids"))])
@pytest.mark.parametrize("data", [{}, {"other": 1}, [1], None, "text"])
def test_a_job_without_the_argument_goes_on_as_it_is(reduce: Any, data: Any) -> None:
    bare = [evolve(job_of(number), data=data) for number in (4, 5)]
    reduced = reduce([JOBS[0], *bare, JOBS[2]])
    assert [one for one in shown(reduced) if one[0] in {"id-4", "id-5"}] == shown(bare)
    assert len(reduced) == 3


def test_what_is_no_list_is_united_with_nothing() -> None:
    jobs = [job_of(1, ids="all"), job_of(2, ids="all"), job_of(3, ids=[1]), job_of(4, ids=[2])]
    assert [job.id for job in union("ids")(jobs)] == ["id-1", "id-2", "id-3"]


@pytest.mark.parametrize(("key", "said"), [(lambda job: job.data["zzz"], "KeyError"), (lambda job: [], "unhashable")])
def test_a_key_that_cannot_be_had_is_told_with_its_job(key: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r"the key of job 'id-1' \(search/reindex\).*" + said):
        dedupe(key)(JOBS)


def test_a_job_that_does_others_work_expires_when_the_last_of_them_would() -> None:
    jobs = {
        job.id: job
        for job in (
            new_job("a", expires=NOON),
            new_job("b", expires=NOON + SECOND),
            new_job("c", expires=NOON),
            new_job("d"),
            new_job("e", expires=NOON + SECOND),
            new_job("f", expires=NOON),
            new_job("g"),
            new_job("h", expires=NOON),
        )
    }
    merged = {"b": "a", "d": "c", "f": "e", "h": "g"}
    assert later_expiries(jobs, merged) == {"a": NOON + SECOND, "c": None}


def test_collect_and_reduce_see_when_a_job_is_due_and_expires() -> None:
    job = timed_from(new_job("a", delay=SECOND, expires=2 * SECOND, deduplication=Deduplication(key="k")), NOON)
    seen = shown_as(job, {}, NOON, NOON)
    assert (seen.run_at, seen.expires_at, seen.deduplication) == (NOON + SECOND, NOON + 2 * SECOND, job.deduplication)
    assert shown_as(job, {}, NOON, NOON + SECOND).run_at is None
