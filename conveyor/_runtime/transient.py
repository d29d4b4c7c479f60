"""Trying again what failed because the store could not be reached."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from conveyor.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["until_available"]

logger: Final = logging.getLogger("conveyor.store")

FIRST_WAIT_SECONDS: Final = 0.05
LONGEST_WAIT_SECONDS: Final = 2.0

T = TypeVar("T")


async def until_available(call: Callable[[], Awaitable[T]], what: str) -> T:
    """Await the call until the store can be reached. Store commands may be repeated, so this loses nothing."""
    wait_seconds = FIRST_WAIT_SECONDS
    while True:
        try:
            return await call()
        except StoreUnavailableError as exc:
            logger.warning("could not %s, trying again: %s", what, exc)
        await anyio.sleep(wait_seconds * random.uniform(0.75, 1.25))  # noqa: S311 - spreads retries, no secret
        wait_seconds = min(wait_seconds * 2, LONGEST_WAIT_SECONDS)
