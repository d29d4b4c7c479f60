"""Batch handlers: functions that take several jobs at once, looked at as if they took one."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from conveyor._services.context import JobContext
from conveyor.errors import ConfigurationError, ConveyorInternalError
from conveyor.model.batch_options import BatchOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conveyor._services.handlers import Handler

__all__ = ["check_batch_options", "check_sizes", "function_of_one"]

_LISTS = (list, Sequence)


def check_batch_options(value: object, name: str) -> None:
    """Refuse what is neither None nor options of a batch handler."""
    if value is not None and not isinstance(value, BatchOptions):
        raise ConfigurationError(f"batch of handler {name!r} must be BatchOptions(size=…), got {value!r}")


def function_of_one(function: Callable[..., Any], name: str) -> tuple[Callable[..., Any], bool]:
    """Return a function with the signature that one job has, and whether the batch handler wants contexts, too.

    ``async def deliver(mails: list[Mail]) -> list[str]`` gives ``(item: Mail) -> str``.

    Raises:
        ConfigurationError: the function does not take one list, or returns none.
    """
    parameters = list(inspect.signature(function).parameters.values())
    hints = _hints(function, name)
    wants_contexts = len(parameters) == 2 and hints.get(parameters[0].name) in (list[JobContext], Sequence[JobContext])
    if len(parameters) != 1 + wants_contexts:
        raise ConfigurationError(
            f"batch handler {name!r} must take one list of items, and before it a list[JobContext] if it wants that"
        )
    item = _member_of(hints.get(parameters[-1].name, list[Any]), f"the parameter of batch handler {name!r}")
    result = _member_of(hints.get("return", list[Any]), f"the result of batch handler {name!r}, one for each job,")
    return _stand_in(item, result), wants_contexts


def check_sizes(handlers: Iterable[Handler], concurrency: int) -> None:
    """Refuse batches that a worker has no slots for.

    Raises:
        ConfigurationError: a batch is larger than the worker's concurrency.
    """
    for handler in handlers:
        if handler.batch is not None and handler.batch.size > concurrency:
            raise ConfigurationError(
                f"batch handler {handler.name!r} takes {handler.batch.size} jobs at once, and each holds a slot: "
                f"give the worker a concurrency of at least {handler.batch.size}, not {concurrency}"
            )


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as exc:
        raise ConfigurationError(f"the types of batch handler {name!r} cannot be read: {exc}") from exc


def _member_of(hint: Any, what: str) -> Any:
    if hint in _LISTS:
        return Any
    if get_origin(hint) not in _LISTS:
        raise ConfigurationError(f"{what} must be a list, such as list[str], not {inspect.formatannotation(hint)}")
    return get_args(hint)[0]


def _stand_in(item: Any, result: Any) -> Callable[..., Any]:
    def of_one(item: object) -> None:
        raise ConveyorInternalError(f"this shows a signature, and is never called, but was with {item!r}")

    of_one.__annotations__ = {"item": item, "return": result}
    return of_one
