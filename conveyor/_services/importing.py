"""Importing: where a handler is found again by another process, by its module and its name there."""

from __future__ import annotations

import sys
from functools import reduce
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conveyor._services.handlers import Handler

__all__ = ["MAIN", "ExecutorKind", "check_found_again", "import_handler", "place_of", "runs_in_process"]

ExecutorKind: TypeAlias = Literal["thread", "process"]

MAIN: Final = "__main__"


def place_of(function: Callable[..., Any]) -> tuple[str, str]:
    """Return the module of a function, and its name in it, with dots."""
    return str(getattr(function, "__module__", "")), str(getattr(function, "__qualname__", ""))


def runs_in_process(executor: ExecutorKind | None, handler: Handler) -> bool:
    """Return whether a handler that was declared so has a process of its own.

    Raises:
        ConfigurationError: it cannot run where `executor` says.
    """
    name = handler.name
    if executor is None:
        return False
    if executor not in get_args(ExecutorKind):
        raise ConfigurationError(f"executor of handler {name!r} must be 'thread' or 'process', got {executor!r}")
    if handler.is_async:
        raise ConfigurationError(
            f"handler {name!r} is async and runs on the event loop: executor={executor!r} is for sync functions"
        )
    if executor == "process":
        if handler.batch is not None:
            raise ConfigurationError(
                f"handler {name!r} takes several jobs at once, and executor='process' gives it one"
            )
        _check_importable(name, handler.function)
    return executor == "process"


def _check_importable(name: str, function: Callable[..., Any]) -> None:
    """Refuse a handler that no other process can import.

    Raises:
        ConfigurationError: it was made inside a function, has no name, or its program has no file.
    """
    module, qualname = place_of(function)
    if not module or not qualname or "<" in qualname:
        raise ConfigurationError(
            f"handler {name!r} has executor='process', and so must be importable: define it at the top of a module, "
            f"not as {qualname or function!r}"
        )
    if module == MAIN and not _has_file(sys.modules[MAIN]):
        raise ConfigurationError(
            f"handler {name!r} has executor='process', and so must be importable: define it in a module, for the "
            "program that runs here has no file"
        )


def check_found_again(handlers: Iterable[Handler]) -> None:
    """Refuse handlers with a process of their own that are not what their modules have under their names.

    Raises:
        ConfigurationError: one is not; it is named.
    """
    for handler in handlers:
        if handler.is_in_process and import_handler(*place_of(handler.function)) is not handler:
            module, qualname = place_of(handler.function)
            raise ConfigurationError(
                f"handler {handler.name!r} has executor='process', but {module}.{qualname} is another one: "
                "give each its own name in the module"
            )


def import_handler(module: str, qualname: str) -> Handler:
    """Return the handler that ``@queue.job`` left in a module.

    Raises:
        ConfigurationError: there is none of this name.
        Exception: whatever the module raises while it is imported.
    """
    namespace = import_module(module)
    try:
        found: Handler = reduce(getattr, qualname.split("."), namespace).__conveyor_handler__
    except AttributeError:
        raise ConfigurationError(
            f"{module}.{qualname} is no handler: with executor='process', what @queue.job() returns must stand in the "
            "module under the function's own name"
        ) from None
    return found


def _has_file(main: object) -> bool:
    return getattr(main, "__spec__", None) is not None or getattr(main, "__file__", None) is not None
