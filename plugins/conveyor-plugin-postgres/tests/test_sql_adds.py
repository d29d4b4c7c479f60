"""Adding by SQL alone: what clients in other languages, and triggers, call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import psycopg
import pytest
from facets import needed
from psycopg import errors

from conveyor import Conveyor, JobContext
from conveyor.model.groups import Group
from conveyor.model.states import JobState
from conveyor.testing import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS: Final = 20
# As docs/how-to/use-postgres.md gives them.
GRANTS: Final = """
grant usage on schema conveyor to web;
grant execute on function conveyor.add_job, conveyor.add_many to web;
"""
ORDERS: Final = """
drop table if exists orders;
create table orders (number integer);
create or replace function pack_order() returns trigger language plpgsql as $$
begin
  perform conveyor.add_job('orders', 'pack', jsonb_build_object('number', new.number));
  return null;
end
$$;
create trigger packed after insert on orders for each row execute function pack_order();
grant insert on orders to web;
"""


@pytest.fixture
def poor_url(empty_url: str) -> Iterator[str]:
    """The database, for a role that may add, and nothing more."""
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("create role web login")
        connection.execute(GRANTS)
    yield empty_url.replace("postgres@", "web@", 1)
    with psycopg.connect(empty_url, autocommit=True) as connection:
        connection.execute("drop table if exists orders; drop owned by web; drop role web")


def query(url: str, sql: str, *params: object) -> list[Any]:
    """Run one statement in a transaction of its own."""
    with psycopg.connect(url) as connection:
        return connection.execute(sql.encode(), params).fetchall()


async def test_what_a_trigger_adds_is_run_after_the_commit_and_not_before(empty_url: str, poor_url: str) -> None:
    query_without_rows(empty_url, ORDERS)
    app = Conveyor(empty_url)
    packed: list[int] = []
    is_done = anyio.Event()

    @app.queue("orders").job()
    async def pack(number: int) -> None:
        packed.append(number)
        is_done.set()

    def sell(number: int, *, is_sold: bool) -> None:
        with psycopg.connect(poor_url) as connection:
            connection.execute("insert into orders values (%s)", (number,))
            if not is_sold:
                connection.rollback()

    async with app, app.worker("orders", poll_interval="1h"):
        await anyio.to_thread.run_sync(lambda: sell(1, is_sold=False))
        await anyio.to_thread.run_sync(lambda: sell(2, is_sold=True))
        with anyio.fail_after(DEADLINE_SECONDS):
            await is_done.wait()
    assert packed == [2]


def query_without_rows(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


async def test_options_travel_with_the_job(empty_url: str) -> None:
    ((job_id,),) = query(
        empty_url,
        """
        select conveyor.add_job(
          'orders', 'pack', '{"number": 7}', priority => 3, attempts => 4, delay => '1 hour', expires => '1 day',
          group_id => 'acme', tags => array['blue'], version => 2
        )
        """,
    )
    async with open_store(empty_url) as store:
        job = await store.jobs.get_job("orders", job_id)
        assert job is not None
        assert (job.name, job.payload, job.state, job.priority) == ("pack", b'{"number": 7}', JobState.DELAYED, 3)
        assert (job.options.attempts, job.options.priority, job.options.version) == (4, 3, 2)
        assert (job.options.group, job.options.tags) == (Group("acme"), ("blue",))
        assert needed(job.expires_at) > job.run_at > job.created_at
        assert list(await needed(store.limits).get_guarded_queues(["orders"])) == ["orders"]


async def test_many_are_added_at_once_in_order(empty_url: str, poor_url: str) -> None:
    payloads = "select array_agg(jsonb_build_object('number', n)) from generate_series(1, 50) as n"
    rows = query(poor_url, f"select * from conveyor.add_many('orders', 'pack', ({payloads}))")
    app = Conveyor(empty_url)
    ran: list[tuple[str, int]] = []
    is_done = anyio.Event()

    @app.queue("orders").job()
    async def pack(context: JobContext, number: int) -> None:
        ran.append((context.job.id, number))
        if len(ran) == len(rows):
            is_done.set()

    # What is fetched ahead and does not start soon goes back, and on a busy machine others overtake it.
    async with app, app.worker("orders", concurrency=1, prefetch=0):
        with anyio.fail_after(DEADLINE_SECONDS):
            await is_done.wait()
    assert ran == [(job_id, number) for number, (job_id,) in enumerate(rows, start=1)]
    assert query(poor_url, "select * from conveyor.add_many('orders', 'pack', '{}')") == []


async def test_a_key_that_is_held_gives_the_job_that_holds_it(empty_url: str) -> None:
    add = "select conveyor.add_job('orders', 'pack', deduplication_key => %s, deduplication_ttl => '1 hour')"
    (first, again, other) = (query(empty_url, add, key) for key in ("seven", "seven", "eight"))
    assert first == again != other
    many = "select conveyor.add_many('orders', 'pack', array['{}', '{}']::jsonb[], deduplication_keys => %s)"
    rows = query(empty_url, many, ["seven", None])
    assert rows[0] == first[0] != rows[1]
    async with open_store(empty_url) as store:
        assert await store.queues.count_jobs("orders", JobState.WAITING) == 3


def test_the_same_add_again_is_harmless_and_another_under_its_id_is_refused(empty_url: str) -> None:
    add = "select conveyor.add_job('orders', 'pack', %s, job_id => 'order-7')"
    assert query(empty_url, add, '{"a": 1}') == query(empty_url, add, '{"a": 1}') == [("order-7",)]
    with pytest.raises(errors.UniqueViolation, match="'order-7'"):
        query(empty_url, add, '{"a": 2}')


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("null, 'pack'", "queue must be 1 to 255 characters without control characters, got null"),
        ("'', 'pack'", "queue must"),
        ("'orders', e'pa\\nck'", "name must"),
        ("'orders', repeat('x', 256)", "name must"),
        ("'orders', 'pack', '[1]'", "payload must be a JSON object"),
        ("'orders', 'pack', null", "payload must be a JSON object of the handler's arguments, got null"),
        ("'orders', 'pack', priority => null", "priority must be a whole number, got null"),
        ("'orders', 'pack', attempts => 0", "attempts must be at least 1, got '0'"),
        ("'orders', 'pack', version => 0", "version must be at least 1"),
        ("'orders', 'pack', delay => '-1 second'", "delay must not be negative"),
        ("'orders', 'pack', delay => '1 day', run_at => now()", "run_at must be null where there is a delay"),
        ("'orders', 'pack', delay => '1 day', expires => '1 hour'", "expires must be longer than zero and than delay"),
        ("'orders', 'pack', expires => '0'", "expires must be longer than zero"),
        ("'orders', 'pack', group_id => ''", "group_id must be 1 to 255"),
        ("'orders', 'pack', tags => array['a', null]", "tags must hold no null"),
        ("'orders', 'pack', job_id => e'\\x7f'", "job_id must be 1 to 255"),
        ("'orders', 'pack', deduplication_key => ''", "deduplication_key must be 1 to 255"),
        ("'orders', 'pack', deduplication_key => 'a', deduplication_ttl => '0'", "deduplication_ttl must be longer"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(empty_url: str, arguments: str, told: str) -> None:
    with pytest.raises(errors.InvalidParameterValue) as refused:
        query(empty_url, f"select conveyor.add_job({arguments})")
    assert str(refused.value).startswith(told)
    assert query(empty_url, "select count(*) from conveyor.live") == [(0,)]
    assert query(empty_url, "select count(*) from conveyor.queues") == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("'orders', 'pack', null", "payloads must be an array"),
        ("'orders', 'pack', array['{}']::jsonb[], job_ids => array['a', 'b']", "job_ids must have one id for each"),
        ("'orders', 'pack', array['{}']::jsonb[], deduplication_keys => '{}'", "deduplication_keys must have one key"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(empty_url: str, arguments: str, told: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match=told):
        query(empty_url, f"select conveyor.add_many({arguments})")


def test_who_may_add_may_not_look_and_who_may_look_may_not_add(empty_url: str, poor_url: str) -> None:
    assert query(poor_url, "select conveyor.add_job('orders', 'pack')")
    for forbidden in ("table conveyor.live", "table conveyor.queues", "delete from conveyor.history"):
        with pytest.raises(errors.InsufficientPrivilege):
            query(poor_url, forbidden)
    query_without_rows(empty_url, "revoke execute on function conveyor.add_job, conveyor.add_many from web")
    with pytest.raises(errors.InsufficientPrivilege):
        query(poor_url, "select conveyor.add_job('orders', 'pack')")
