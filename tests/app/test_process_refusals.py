"""Handlers that no other process could find, or that would not run there: refused by name, before anything runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conveyor import BatchOptions, Conveyor
from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

unnamed = Conveyor("memory://")
shadowed = Conveyor("memory://")


def plain() -> None:
    """Stand under this name as what it is."""


unnamed.queue("work").job(executor="process")(plain)


@shadowed.queue("work").job("one", executor="process")
def same() -> None:
    """Be shadowed by the next."""


@shadowed.queue("work").job("other", executor="process")  # type: ignore[no-redef]  # it is about that
def same() -> None:  # noqa: F811 - it is about that
    """Stand under the name of another."""


def inner() -> Callable[[], None]:
    """Return a function that nobody can import."""

    def local() -> None: ...

    return local


def take_many(numbers: list[int]) -> list[int]:
    """Take several jobs at once."""
    return numbers


async def slow() -> None:
    """Run on the event loop."""


@pytest.mark.parametrize(
    ("function", "options", "words"),
    [
        (inner(), {"executor": "process"}, "'local'.*must be importable.*top of a module"),
        (lambda: None, {"executor": "process", "name": "short"}, "'short'.*must be importable"),
        (slow, {"executor": "process"}, "'slow' is async"),
        (slow, {"executor": "thread"}, "'slow' is async"),
        (take_many, {"executor": "process", "batch": BatchOptions(size=2)}, "'take_many' takes several jobs at once"),
        (plain, {"executor": "fibre"}, "must be 'thread' or 'process', got 'fibre'"),
    ],
)
def test_it_is_refused_when_it_is_declared(function: Any, options: Any, words: str) -> None:
    app = Conveyor("memory://")
    with pytest.raises(ConfigurationError, match=words):
        app.queue("work").job(**options)(function)
    assert app._services.handlers.names("work") == []


@pytest.mark.parametrize(
    ("app", "words"),
    [(unnamed, "plain is no handler"), (shadowed, "handler 'one'.*same is another one")],
    ids=["unnamed", "shadowed"],
)
async def test_it_is_refused_when_the_worker_opens(app: Conveyor, words: str) -> None:
    async with app:
        with pytest.raises(ConfigurationError, match=words):
            async with app.worker():
                pytest.fail("it opened")  # pragma: no cover


async def test_a_thread_may_be_asked_for_by_name() -> None:
    app = Conveyor("memory://")

    @app.queue("work").job(executor="thread")
    def local() -> int:
        return 3

    async with app, app.worker():
        assert await (await local.add()).result(timeout="10s") == 3
