"""The way from any thread back to the event loop the store was opened on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVarTuple

from anyio.lowlevel import current_token

from conveyor.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EventLoop"]

Ts = TypeVarTuple("Ts")


class EventLoop:
    """The event loop that is running here; anyio tells which, but has no cheap way to call it from a thread."""

    def __init__(self) -> None:
        native = current_token().native_token
        # trio's token, or asyncio's loop.
        post: Callable[..., object] | None = getattr(native, "run_sync_soon", None) or getattr(
            native, "call_soon_threadsafe", None
        )
        if post is None:
            raise StoreError(f"the event loop {type(native).__name__} cannot be called from a thread")
        self._post = post

    def post(self, function: Callable[[*Ts], object], *args: *Ts) -> None:
        """Run a function soon on the loop; once the loop has ended, nobody is left to care."""
        try:
            self._post(function, *args)
        except RuntimeError:
            return
