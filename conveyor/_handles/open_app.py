"""OpenApp: what ``app.open_in(...)`` returns; close it from any task."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conveyor._runtime.hosting import HostedBlocks

__all__ = ["OpenApp"]


class OpenApp:
    """An app that is open in a task of its host. It closes when you say so, or when the host cancels that task."""

    def __init__(self, hosted: HostedBlocks) -> None:
        """Made by ``app.open_in``."""
        self._hosted = hosted

    async def close(self) -> None:
        """Stop the workers gracefully, close the app, and return when that is done.

        Any task may call it, and more than once. Being cancelled ends the waiting, not the closing.

        Raises:
            Exception: what ended the app before, if it was opened in an event loop without a task group.
        """
        await self._hosted.close()
