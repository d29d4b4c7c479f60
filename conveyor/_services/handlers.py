"""Handlers: which function runs the jobs of which name, and how its arguments are read."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, get_type_hints

from attrs import define

from conveyor._services.context import JobContext
from conveyor.codec import ArgumentsCodec, JsonCodec
from conveyor.errors import ConfigurationError, UnknownHandlerError
from conveyor.model.options import check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conveyor.model.job import JobData
    from conveyor.model.options import JobOptions, Placement

__all__ = ["Handler", "HandlerRegistry", "make_handler"]


@define
class Handler:
    """A user's function, ready to be called with a job.

    Attributes:
        wants_context: its first parameter is a `JobContext`.
        is_async: whether it is a coroutine function; others run in a thread.
        decode_result: reads what it returned from JSON.
    """

    queue_name: str
    name: str
    function: Callable[..., Any]
    arguments: ArgumentsCodec
    wants_context: bool
    is_async: bool
    decode_result: Callable[[bytes], Any]
    options: JobOptions
    placement: Placement


def make_handler(
    queue_name: str, name: str | None, function: Callable[..., Any], options: JobOptions, placement: Placement
) -> Handler:
    """Look at a function's signature once, and make a handler of it; the options are its jobs' defaults.

    Raises:
        ConfigurationError: it is no function, or has parameters that cannot be sent.
    """
    if not callable(function):
        raise ConfigurationError(f"a handler must be a function, got {function!r}")
    job_name = check_name(name or str(getattr(function, "__name__", "")), "job name")
    wants_context = _wants_context(function)
    return Handler(
        queue_name=queue_name,
        name=job_name,
        function=function,
        arguments=ArgumentsCodec(function, job_name, skip=1 if wants_context else 0),
        wants_context=wants_context,
        is_async=inspect.iscoroutinefunction(function),
        decode_result=JsonCodec().decoder(_result_type(function)),
        options=options,
        placement=placement,
    )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError:
        return {}  # ArgumentsCodec refuses such a signature, and says why


def _wants_context(function: Callable[..., Any]) -> bool:
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters:
        return False
    hint = _hints(function).get(parameters[0].name, parameters[0].annotation)
    return hint is JobContext or hint in ("JobContext", "conveyor.JobContext")


def _result_type(function: Callable[..., Any]) -> Any:
    hint = _hints(function).get("return", Any)
    try:
        JsonCodec().decoder(hint)
    except ConfigurationError:
        # Outcomes such as `str | Snooze` have no JSON form; the plain result is then read as it stands.
        return Any
    return hint


class HandlerRegistry:
    """The handlers of one app, by queue and job name."""

    def __init__(self) -> None:
        """Start with none."""
        self._handlers: dict[tuple[str, str], Handler] = {}

    def add(self, handler: Handler) -> None:
        """Register a handler.

        Raises:
            ConfigurationError: the queue has another handler of this name.
        """
        key = (handler.queue_name, handler.name)
        if key in self._handlers:
            raise ConfigurationError(
                f"queue {handler.queue_name!r} already has a handler called {handler.name!r}; give one of them a name="
            )
        self._handlers[key] = handler

    def find(self, queue_name: str, name: str) -> Handler | None:
        """Return the handler, or None."""
        return self._handlers.get((queue_name, name))

    def get(self, job: JobData) -> Handler:
        """Return the handler of a job.

        Raises:
            UnknownHandlerError: this program has none.
        """
        handler = self._handlers.get((job.queue_name, job.name))
        if handler is None:
            raise UnknownHandlerError(job.name, self.names(job.queue_name), job_id=job.id, queue_name=job.queue_name)
        return handler

    def names(self, queue_name: str) -> list[str]:
        """Return the names of a queue's handlers."""
        return sorted(name for queue, name in self._handlers if queue == queue_name)

    def queue_names(self) -> Mapping[str, None]:
        """Return the names of the queues that have handlers, in the order of their first."""
        return {queue: None for queue, _ in self._handlers}
