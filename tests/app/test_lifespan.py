"""The app's lifespan: opened last, closed first, and its state in every handler's hands."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest

from conveyor import Conveyor, JobContext
from conveyor.errors import ConfigurationError, JobFailedError
from conveyor.testing import inline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio


class Till:
    """Something that is opened once, and shared."""

    def __init__(self) -> None:
        self.is_open = True
        self.sum = 0


def app_with_till(store_url: str, log: list[str]) -> tuple[Conveyor, list[Till]]:
    """Return an app whose state is a till, and the tills that were opened."""
    tills: list[Till] = []

    @asynccontextmanager
    async def lifespan(app: Conveyor) -> AsyncIterator[Till]:
        # The store is open before, and still is afterwards.
        await app.queue("work").counts()
        log.append("open")
        tills.append(till := Till())
        try:
            yield till
        finally:
            till.is_open = False
            await app.queue("work").counts()
            log.append("close")

    app = Conveyor(store_url, lifespan=lifespan)

    @app.queue("work").job()
    async def pay(context: JobContext, amount: int) -> int:
        assert context.state.is_open
        context.state.sum += amount
        return int(context.state.sum)

    @app.queue("work").job()
    def pay_in_a_thread(context: JobContext, amount: int) -> int:
        context.state.sum += amount
        return int(context.state.sum)

    return app, tills


async def test_handlers_share_what_the_lifespan_gave(store_url: str) -> None:
    app, tills = app_with_till(store_url, [])
    async with app, app.worker():
        first = await app.queue("work").add("pay", {"amount": 2})
        assert await first.result(timeout="10s") == 2
        second = await app.queue("work").add("pay_in_a_thread", {"amount": 3})
        assert await second.result(timeout="10s") == 5
    assert [till.sum for till in tills] == [5]


async def test_the_lifespan_is_open_while_the_app_is_and_can_use_it(store_url: str) -> None:
    log: list[str] = []
    app, tills = app_with_till(store_url, log)
    for _ in range(2):
        async with app:
            log.append("in use")
            assert tills[-1].is_open
    assert log == ["open", "in use", "close"] * 2
    assert len(tills) == 2


async def test_what_ends_the_app_reaches_the_lifespan() -> None:
    seen: list[BaseException] = []

    @asynccontextmanager
    async def lifespan(_: Conveyor) -> AsyncIterator[None]:
        try:
            yield
        except ValueError as exc:
            seen.append(exc)
            raise

    with pytest.raises(ValueError, match="enough"):
        async with Conveyor("memory://", lifespan=lifespan):
            raise ValueError("enough")
    assert len(seen) == 1


async def test_a_lifespan_that_fails_leaves_the_app_closed() -> None:
    printers: list[str] = []

    @asynccontextmanager
    async def lifespan(_: Conveyor) -> AsyncIterator[None]:
        await anyio.lowlevel.checkpoint()
        if not printers:
            raise OSError("no such printer")
        yield

    app = Conveyor("memory://", lifespan=lifespan)
    for _ in range(2):
        with pytest.raises(OSError, match="no such printer"):
            async with app:
                pytest.fail("it was opened")
    with pytest.raises(ConfigurationError, match="not open"):
        await app.queue("work").counts()


async def test_a_state_may_be_none(store_url: str) -> None:
    @asynccontextmanager
    async def lifespan(_: Conveyor) -> AsyncIterator[None]:
        yield

    app = Conveyor(store_url, lifespan=lifespan)

    @app.queue("work").job()
    async def look(context: JobContext) -> bool:
        return context.state is None

    async with app, app.worker():
        assert await (await look.add()).result(timeout="10s")


async def test_without_a_lifespan_asking_for_the_state_is_an_error(app: Conveyor) -> None:
    @app.queue("work").job()
    async def look(context: JobContext) -> None:
        assert context.state

    async with app, app.worker():
        with pytest.raises(JobFailedError, match="no state"):
            await (await look.add()).result(timeout="10s")


async def test_inlined_jobs_have_the_state_as_well() -> None:
    app, tills = app_with_till("memory://", [])
    async with inline(app):
        await app.queue("work").add("pay", {"amount": 4})
        assert tills[0].sum == 4


@pytest.mark.parametrize("lifespan", [5, "lifespan", object()])
def test_what_is_no_lifespan_is_refused_at_once(lifespan: Any) -> None:
    with pytest.raises(ConfigurationError, match="lifespan must be a function"):
        Conveyor("memory://", lifespan=lifespan)


@pytest.mark.parametrize("middleware", ["timing", [object()], [5]])
def test_what_is_no_middleware_is_refused_at_once(middleware: Any) -> None:
    with pytest.raises(ConfigurationError, match="middleware must"):
        Conveyor("memory://", middleware=middleware)
