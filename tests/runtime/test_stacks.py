"""Stacks of coroutines and threads."""

from __future__ import annotations

import sys
import threading
from types import coroutine
from typing import TYPE_CHECKING

from conveyor._runtime.stacks import format_frames, frames_of_awaitable, frames_of_thread, frames_since

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Sequence
    from types import FrameType


@coroutine
def pause() -> Generator[None, None, None]:
    yield


async def inner() -> None:
    await pause()


class Wrapped:
    def __await__(self) -> Generator[None, None, None]:
        return inner().__await__()


async def items() -> AsyncIterator[int]:
    await Wrapped()
    yield 1


async def outer() -> None:
    async for _ in items():
        pass


def names(frames: Sequence[FrameType]) -> list[str]:
    return [frame.f_code.co_name for frame in frames]


def test_a_coroutine_is_followed_through_generators_and_wrappers() -> None:
    running = outer()
    running.send(None)
    assert names(frames_of_awaitable(running)) == ["outer", "items", "inner", "pause"]
    running.close()


def test_what_has_not_begun_or_has_ended_shows_no_more_than_itself() -> None:
    fresh = outer()
    assert names(frames_of_awaitable(fresh)) == ["outer"]
    fresh.close()
    assert names(frames_of_awaitable(fresh)) == []
    assert names(frames_of_awaitable(None)) == []


def test_what_executes_is_shown_with_what_it_calls() -> None:
    seen: list[str] = []

    def look() -> None:
        seen.extend(names(frames_of_awaitable(running, sys._getframe())))

    async def call() -> None:
        look()

    async def enter() -> None:
        await call()

    running = enter()
    try:
        running.send(None)
    except StopIteration:
        assert seen == ["enter", "call", "look"]


def test_a_thread_is_shown_until_it_ends() -> None:
    asleep, go_on = threading.Event(), threading.Event()

    def sleep() -> None:
        asleep.set()
        go_on.wait()

    thread = threading.Thread(target=sleep)
    thread.start()
    asleep.wait()
    assert thread.ident is not None
    frames = frames_of_thread(thread.ident)
    assert "sleep" in names(frames)
    assert names(frames_since(frames, ["threading"]))[0] == "sleep"
    assert frames_since(frames, ["nowhere"]) == frames
    go_on.set()
    thread.join()
    assert names(frames_of_thread(thread.ident)) == []


def test_frames_are_written_as_tracebacks_are() -> None:
    said = format_frames([sys._getframe()], "  ")
    assert said.startswith(f'    File "{__file__}", line ')
    assert said.endswith('      said = format_frames([sys._getframe()], "  ")\n')
