"""Waiting for what another process or loop does, where no event of ours can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["eventually"]


async def eventually(condition: Callable[[], Awaitable[object]], *, seconds: float = 30) -> None:
    """Look again and again until the condition holds; fail after so many seconds."""
    with anyio.fail_after(seconds):
        while not await condition():  # noqa: ASYNC110 - the one place where tests look again and again
            await anyio.sleep(0.005)
