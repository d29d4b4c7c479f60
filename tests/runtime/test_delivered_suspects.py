"""Deliveries that stalled before are run alone, so what kills its worker burns no others (P8)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from conveyor import Conveyor
from conveyor.testing.clocks import jumping_backends
from tests.post_office import LOCK, Letter, Office, PostQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor import NewJob

pytestmark = pytest.mark.anyio

MOST_DEATHS = 3


@pytest.fixture(params=jumping_backends(), ids=lambda backend: backend[0])
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Both backends, with clocks that jump."""
    return request.param


@pytest.fixture
def office() -> Office:
    """An office with no letters."""
    return Office()


@pytest.fixture
def app(office: Office) -> Conveyor:
    """An app that adds to the office."""
    return Conveyor("memory://", job_queue=PostQueue(office))


async def until(condition: Callable[[], object]) -> None:
    """Let others run until the condition holds; the clock jumps meanwhile."""
    with anyio.fail_after(10_000):
        while not condition():  # noqa: ASYNC110 - fakes set no events
            await anyio.sleep(0.01)


def add_suspect(office: Office, new: NewJob) -> Letter:
    """Put a letter into the office whose last carrier died."""
    letter = Letter(new, anyio.current_time(), stalled=1)
    office.letters[new.queue_name].append(letter)
    office.tell()
    return letter


def worker_died(office: Office, queue_name: str = "work") -> None:
    """Let every letter that is carried go to the next carrier, as after its worker died; dead ones are put aside."""
    for letter in [*office.letters[queue_name]]:
        if letter.is_carried:
            letter.carrier += 1
            letter.due_at = anyio.current_time()
            if letter.stalled == MOST_DEATHS:
                office.letters[queue_name].remove(letter)
    office.tell()


def stalls(office: Office) -> dict[str, int]:
    """Return how often each letter has stalled that is still there, by the word that it carries."""
    return {letter.new.payload.decode(): letter.stalled for letter in office.letters["work"]}


async def test_a_job_that_kills_its_worker_takes_no_other_down_for_good(app: Conveyor, office: Office) -> None:
    worst: dict[str, int] = {}
    deaths = 0

    @app.queue("work").job()
    async def live(number: int) -> int:
        nonlocal deaths
        if number == 5:
            deaths += 1
            worker_died(office)
            await anyio.sleep_forever()
        await anyio.sleep(1)
        return number

    async with app, app.worker(concurrency=10):
        await live.add_many([live.new(number) for number in range(10)])
        with anyio.fail_after(1000):
            while office.letters["work"]:
                await anyio.sleep(0.05)
                worst |= {word: max(worst.get(word, 0), count) for word, count in stalls(office).items()}
    ended = [int(end.result or b"") for end in office.settled]
    assert sorted(ended) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert deaths == MOST_DEATHS + 1
    others = [count for word, count in worst.items() if "5" not in word]
    # They ran beside it the first time, and never again.
    assert others == [1] * 9


async def test_suspects_run_one_at_a_time_and_beside_nobody(app: Conveyor, office: Office) -> None:
    running: set[int] = set()
    beside: dict[int, set[int]] = {}

    @app.queue("work").job()
    async def note(number: int) -> None:
        running.add(number)
        for one in running:
            beside[one] = beside.get(one, set()) | running - {one}
        await anyio.sleep(1)
        running.remove(number)

    async with app:
        for number in range(4):
            add_suspect(office, note.new(number))
        await note.add_many([note.new(number) for number in range(4, 12)])
        async with app.worker(concurrency=4):
            await until(lambda: len(office.settled) == 12)
            assert office.letters["work"] == []
    assert {number: beside[number] for number in range(4)} == {number: set() for number in range(4)}
    assert any(beside[number] for number in range(4, 12))
    assert {(delay, is_counted) for _, delay, is_counted in office.handed_back} == {(timedelta(0), False)}
    # While one runs the others are not asked for, so each is seen a few times in all.
    assert len(office.handed_back) < 50


async def test_a_suspect_that_waits_for_an_empty_worker_is_kept_and_what_runs_comes_to_its_end(
    app: Conveyor, office: Office
) -> None:
    order: list[str] = []
    begun, go_on = anyio.Event(), anyio.Event()

    @app.queue("work").job()
    async def first() -> None:
        begun.set()
        await go_on.wait()
        order.append("first")

    @app.queue("work").job()
    async def suspect() -> None:
        order.append("suspect")

    @app.queue("work").job()
    async def last() -> None:
        order.append("last")

    async with app, app.worker(concurrency=3):
        await first.add()
        await begun.wait()
        letter = add_suspect(office, suspect.new())
        await until(lambda: letter.is_carried)
        await last.add()
        await anyio.sleep(LOCK.total_seconds() * 3)
        assert order == []
        assert [letter.stalled for letter in office.letters["work"]] == [0, 1, 0]
        go_on.set()
        await until(lambda: len(order) == 3)
    assert order == ["first", "suspect", "last"]


async def test_a_worker_that_stops_hands_a_suspect_back_that_waits(app: Conveyor, office: Office) -> None:
    begun = anyio.Event()

    @app.queue("work").job()
    async def hold() -> None:
        begun.set()
        await anyio.sleep_forever()

    async with app:
        async with app.worker(concurrency=2, shutdown_grace="1s"):
            await hold.add()
            await begun.wait()
            letter = add_suspect(office, hold.new())
            await until(lambda: letter.is_carried)
        assert [(letter.is_carried, letter.stalled) for letter in office.letters["work"]] == [(False, 0), (False, 1)]


async def test_a_suspect_that_is_lost_while_it_waits_leaves_the_worker_to_others(app: Conveyor, office: Office) -> None:
    ran: list[int] = []
    begun, go_on = anyio.Event(), anyio.Event()

    @app.queue("work").job()
    async def note(number: int) -> None:
        if not number:
            begun.set()
            await go_on.wait()
        ran.append(number)

    async with app, app.worker(concurrency=2):
        await note.add(0)
        await begun.wait()
        suspect = add_suspect(office, note.new(1))
        await until(lambda: suspect.is_carried)
        office.letters["work"].remove(suspect)  # somebody else has run it
        await note.add(2)
        await until(lambda: 2 in ran)
        go_on.set()
        await until(lambda: len(ran) == 2)
    assert ran == [2, 0]
