"""A guard for blocks that own tasks: they must be left by the task that entered them."""

from __future__ import annotations

import anyio

from conveyor.errors import ConfigurationError

__all__ = ["SameTask"]


class SameTask:
    """Remembers who entered."""

    def __init__(self, what: str) -> None:
        """Guard a block that is called so in messages."""
        self._what = what
        self._task_id: int | None = None

    def enter(self) -> None:
        """Note the task that enters.

        Raises:
            ConfigurationError: the block is open already.
        """
        if self._task_id is not None:
            raise ConfigurationError(f"{self._what} is open already; open it once, and share it")
        self._task_id = anyio.get_current_task().id

    def leave(self) -> None:
        """Check that the task that leaves is the one that entered.

        Raises:
            ConfigurationError: it is not.
        """
        if self._task_id != anyio.get_current_task().id:
            raise ConfigurationError(
                f"{self._what} was entered by another task than the one that leaves it; "
                "open and close it in one task, with `async with`"
            )
        self._task_id = None
