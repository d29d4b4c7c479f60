"""``conveyor buffers``: what waits where, and flushing it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor._cli.discovery import load_app
from conveyor.testing.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.cli.conftest import Ran

STORE = ("--store", "sqlite:///jobs.db")
APP = ("--app", "hello:app")
BUFFER = """
from conveyor import JobBuffer, dedupe

def reduce(jobs):
    if any(job.data["to"] == "nobody" for job in jobs):
        raise ValueError("there is nobody")
    return dedupe("to")(jobs)

app.buffers.add_buffer(JobBuffer("greetings", collect=lambda job: job.name == "send", reduce=reduce))
app.buffers.add_buffer(JobBuffer("failures", collect=lambda job: job.name == "fail", reduce=list))
"""


@pytest.fixture(autouse=True)
def buffered(folder: Path) -> None:
    """Let the app register buffers, and put jobs into one."""
    with (folder / "hello.py").open("a") as file:
        file.write(BUFFER)
    add(["ada", "ada", "grace"])


def add(names: list[str], job_ids: Sequence[str | None] | None = None) -> None:
    async def add_them() -> None:
        async with load_app("hello:app") as app:
            for name, job_id in zip(names, job_ids or [None] * len(names), strict=True):
                await app.queue("mails").add("send", {"to": name}, job_id=job_id)

    anyio.run(add_them)


def test_buffers_are_listed(conveyor: Callable[..., Ran]) -> None:
    shown = conveyor("buffers", "list", *APP).out
    assert "greetings" in shown
    failures, greetings = conveyor("buffers", "list", *APP, "-o", "json").json
    assert (greetings["id"], greetings["jobs"], greetings["is_registered"]) == ("greetings", 3, True)
    assert greetings["bytes"] == len(b'{"to":"ada"}') * 2 + len(b'{"to":"grace"}')
    assert greetings["oldest_seconds"] >= 0
    assert (failures["jobs"], failures["oldest_at"]) == (0, None)


def test_jobs_of_a_buffer_that_nobody_registers_are_shown(conveyor: Callable[..., Ran]) -> None:
    (greetings,) = conveyor("buffers", "list", *STORE, "-o", "json").json
    assert (greetings["jobs"], greetings["is_registered"]) == (3, False)


def test_buffers_are_flushed(conveyor: Callable[..., Ran]) -> None:
    flushed = conveyor("buffers", "flush", *APP, "-o", "json").json
    assert flushed == [{"id": "greetings", "added": 2}, {"id": "failures", "added": 0}]
    assert len(conveyor("jobs", "list", *STORE, "-o", "json").json) == 2
    assert conveyor("buffers", "flush", "greetings", *APP, "-o", "json").json == [{"id": "greetings", "added": 0}]


def test_a_buffer_that_a_dead_flush_has_is_told_of(conveyor: Callable[..., Ran]) -> None:
    async def take_and_die() -> None:
        async with open_store("sqlite:///jobs.db") as store:
            assert store.buffers is not None
            await store.buffers.take("greetings", "dead", timedelta(minutes=1), limit=1)

    anyio.run(take_and_die)
    ran = conveyor("buffers", "flush", *APP, "-o", "json")
    assert ran.json[0] == {"id": "greetings", "added": 0}
    assert "buffer 'greetings': another flush has its 3 jobs, until 20" in ran.err
    failures, greetings = conveyor("buffers", "list", *APP, "-o", "json").json
    assert greetings["taken_until"].startswith("20")
    assert failures["taken_until"] is None


def test_a_buffer_that_is_not_there_is_named(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("buffers", "flush", "greeting", *APP)
    assert ran.code == 3
    assert "did you mean 'greetings'" in ran.err


def test_a_buffer_that_the_app_does_not_register_is_refused(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("buffers", "flush", "greetings", *STORE)
    assert ran.code == 5
    assert "does not register" in ran.err
    assert "3 jobs" in conveyor("buffers", "flush", *STORE).err


def test_a_reduce_that_fails_is_told_and_leaves_its_jobs(conveyor: Callable[..., Ran]) -> None:
    add(["nobody"])
    ran = conveyor("buffers", "flush", *APP)
    assert ran.code == 1
    assert ran.err.count("there is nobody") == 1
    assert conveyor("buffers", "list", *STORE, "-o", "json").json[0]["jobs"] == 4


def test_top_tells_how_full_they_are(conveyor: Callable[..., Ran]) -> None:
    (buffer,) = conveyor("top", *STORE, "-o", "json").json["buffers"]
    assert (buffer["id"], buffer["jobs"]) == ("greetings", 3)
    assert buffer["oldest_seconds"] >= 0
    assert any(line.split()[:2] == ["greetings", "3"] for line in conveyor("top", *STORE).out.splitlines())


def test_a_merged_job_is_not_mistaken_for_the_one_that_does_its_work(conveyor: Callable[..., Ran]) -> None:
    add(["ada", "ada"], job_ids=["keeper-of-ada", "merged-of-ada"])
    conveyor("buffers", "flush", *APP)
    work_id = conveyor("jobs", "show", "merged-of-ada", *STORE, "-o", "json").json["merged_into"]
    for verb in ("cancel", "remove", "rerun", "promote", "discard"):
        ran = conveyor("jobs", verb, "merged-of-ada", *STORE, "-o", "json")
        ((changed,), code) = ran.json, ran.code
        assert (changed["id"], changed["outcome"], code) == ("merged-of-ada", "refused", 5)
        assert f"merged into job '{work_id}'" in changed["error"]
    assert conveyor("jobs", "show", work_id, *STORE, "-o", "json").json["state"] == "waiting"
    shown = conveyor("jobs", "show", "merged-of-ada", *STORE).out
    assert ["merged_into", work_id] in [line.split() for line in shown.splitlines()]


def test_what_a_buffered_job_cannot_do_yet_is_refused(conveyor: Callable[..., Ran]) -> None:
    add(["grace"], job_ids=["buffered-job"])
    assert conveyor("jobs", "show", "buffered-job", *STORE, "-o", "json").json["buffer_id"] == "greetings"
    ran = conveyor("jobs", "promote", "buffered-job", *STORE, "-o", "json")
    assert (ran.json[0]["outcome"], ran.code) == ("refused", 5)
    assert conveyor("events", "--job", "buffered-job", *STORE).code == 5
    assert conveyor("jobs", "cancel", "buffered-job", *STORE, "-o", "json").json[0]["state"] == "cancelled"


def test_the_id_of_a_merged_job_may_be_the_beginning_of_another(conveyor: Callable[..., Ran]) -> None:
    add(["lin", "lin"], job_ids=["order-100", "order-1000"])
    conveyor("buffers", "flush", *APP)
    add(["lin"], job_ids=["order-10001"])
    conveyor("buffers", "flush", *APP)
    ran = conveyor("jobs", "cancel", "order-1000", *STORE, "-o", "json")
    assert (ran.json[0]["outcome"], ran.code) == ("refused", 5)
    assert conveyor("jobs", "show", "order-10001", *STORE, "-o", "json").json["state"] == "waiting"


def test_buffered_and_merged_jobs_are_found_by_the_beginnings_of_their_ids(conveyor: Callable[..., Ran]) -> None:
    add(["ada"], job_ids=["waiting-in-buffer"])
    assert conveyor("jobs", "show", "waiting-in", *STORE, "-o", "json").json["buffer_id"] == "greetings"
    add(["lin", "lin"], job_ids=["doing-work-of-lin", "merged-into-lin"])
    conveyor("buffers", "flush", *APP)
    shown = conveyor("jobs", "show", "merged-into", *STORE, "-o", "json").json
    assert (shown["id"], shown["merged_into"]) == ("merged-into-lin", "doing-work-of-lin")
    add(["lin"], job_ids=["doing-work-as-well"])
    ran = conveyor("jobs", "cancel", "doing-work", *STORE)
    assert ran.code == 2
    assert "several ids: doing-work-as-well, doing-work-of-lin" in ran.err
    assert conveyor("jobs", "cancel", "doing-work-as", *STORE, "-o", "json").json[0]["state"] == "cancelled"


def test_an_app_with_a_prefix_has_its_own_buffers_under_their_whole_ids(
    folder: Path, conveyor: Callable[..., Ran]
) -> None:
    prefixed = (folder / "hello.py").read_text().replace('jobs.db")', 'jobs.db", prefix="shop-")')
    (folder / "shop.py").write_text(prefixed)
    shop = ("--app", "shop:app")
    listed = {record["id"]: record["jobs"] for record in conveyor("buffers", "list", *shop, "-o", "json").json}
    assert listed == {"shop-greetings": 0, "shop-failures": 0}
    assert conveyor("buffers", "flush", "greetings", *shop).code == 3
    flushed = conveyor("buffers", "flush", "shop-greetings", *shop, "-o", "json").json
    assert flushed == [{"id": "shop-greetings", "added": 0}]
    (greetings,) = conveyor("buffers", "list", *STORE, "-o", "json").json
    assert (greetings["id"], greetings["jobs"]) == ("greetings", 3)


def test_an_unknown_buffer_without_an_app_asks_for_the_app(conveyor: Callable[..., Ran]) -> None:
    ran = conveyor("buffers", "flush", "indexing", *STORE)
    assert ran.code == 3
    assert "hint: name the app that registers it: --app MODULE:ATTR" in ran.err
    assert "hint: see which there are" in conveyor("buffers", "flush", "indexing", *APP).err
