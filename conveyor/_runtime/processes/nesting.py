"""Nesting: the process of a handler runs no worker of its own, whatever its module does when it is imported."""

from __future__ import annotations

import os
from typing import Final

from conveyor.errors import ConfigurationError

__all__ = ["enter_handler_process", "refuse_in_handler_process"]

# Holds the process's own id: what a handler starts inherits the variable, and is no handler's process for that.
VARIABLE: Final = "CONVEYOR_HANDLER_PROCESS"


def enter_handler_process() -> None:
    """Say that this process is a handler's."""
    os.environ[VARIABLE] = str(os.getpid())


def refuse_in_handler_process() -> None:
    """Let no worker begin where a handler runs.

    Raises:
        ConfigurationError: this process is a handler's.
    """
    if os.environ.get(VARIABLE) == str(os.getpid()):
        raise ConfigurationError(
            "the process of a handler runs no worker: put what starts the program under `if __name__ == '__main__':`, "
            "for its module is imported here, too"
        )
