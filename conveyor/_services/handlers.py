"""Handlers: which function runs the jobs of which name, and how its arguments are read."""

from __future__ import annotations

import inspect
import logging
from datetime import timedelta
from functools import reduce
from operator import or_
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Never,
    NoReturn,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from attrs import define

from conveyor._services.batch_handlers import check_batch_options, function_of_one
from conveyor._services.context import JobContext
from conveyor.codec import ArgumentsCodec, JsonCodec, WholeDataCodec
from conveyor.errors import ConfigurationError, UnknownHandlerError
from conveyor.model.checks import check_name
from conveyor.model.outcomes import Cancel, Completed, Failed, Retry, Snooze, Stop, WaitForChildren

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from conveyor.codec import Upgrade
    from conveyor.model.batch_options import BatchOptions
    from conveyor.model.job import JobData
    from conveyor.model.options import JobOptions, Placement

__all__ = ["EVERY_NAME", "Handler", "HandlerRegistry", "make_handler", "make_process", "without_outcomes"]

logger: Final = logging.getLogger("conveyor.worker")

# During a deploy, a job that a newer program added waits so long before a worker looks at it again.
WAIT_FOR_NEWER: Final = timedelta(minutes=1)
# The name of a handler for every job of its queue that has none of its own.
EVERY_NAME: Final = "*"
_NO_RESULT: Final = (Completed, Failed, Retry, Snooze, Cancel, WaitForChildren, Never, NoReturn)


@define
class Handler:
    """A user's function, ready to be called with a job.

    Attributes:
        wants_context: its first parameter is a `JobContext`, or a list of them.
        is_async: whether it is a coroutine function; others run in a thread.
        decode_result: reads what it returned from JSON.
        batch: how many jobs it takes at once; None: it takes one.
        is_in_process: whether it runs in a process of its own.
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
    batch: BatchOptions | None = None
    is_in_process: bool = False

    def read(self, job: JobData) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a job, positional and by keyword.

        Raises:
            PayloadError: they do not fit the function.
            Stop: they are of a newer version: the job waits for a worker that knows it.
        """
        version = job.options.version
        if version > self.options.version:
            logger.info("job %s waits for a newer program: its arguments are of version %d", job.id, version)
            raise Stop(Snooze(WAIT_FOR_NEWER))
        return self.arguments.decode(job.payload, version)


def make_handler(
    queue_name: str,
    name: str | None,
    function: Callable[..., Any],
    options: JobOptions,
    placement: Placement,
    *,
    upgrade: Upgrade | None = None,
    forbid_unknown: bool = True,
    batch: BatchOptions | None = None,
) -> Handler:
    """Look at a function's signature once, and make a handler of it; the options are its jobs' defaults.

    Raises:
        ConfigurationError: it is no function, has parameters or a result that cannot be sent, or `upgrade` cannot
            be what it says.
    """
    _check_function(function)
    job_name = check_name(name or str(getattr(function, "__name__", "")), "job name")
    _check_upgrade(upgrade, options, job_name)
    if not isinstance(forbid_unknown, bool):
        raise ConfigurationError(f"forbid_unknown must be True or False, got {forbid_unknown!r}")
    check_batch_options(batch, job_name)
    if batch is None:
        of_one, wants_context = function, _wants_context(function)
    else:
        of_one, wants_context = function_of_one(function, job_name)
    return Handler(
        queue_name=queue_name,
        name=job_name,
        function=function,
        arguments=ArgumentsCodec(
            of_one,
            job_name,
            skip=1 if wants_context and batch is None else 0,
            version=options.version,
            upgrade=upgrade,
            forbid_unknown=forbid_unknown,
        ),
        wants_context=wants_context,
        is_async=inspect.iscoroutinefunction(function),
        decode_result=_result_decoder(of_one, job_name),
        options=options,
        placement=placement,
        batch=batch,
    )


def make_process(queue_name: str, function: Callable[..., Any], options: JobOptions, placement: Placement) -> Handler:
    """Make a handler for every job name of a queue: it takes the job's data as it is, after a context if it wants one.

    Raises:
        ConfigurationError: it is no function, or takes something else.
    """
    _check_function(function)
    wants_context = _wants_context(function)
    try:
        inspect.signature(function).bind(*[None] * (1 + wants_context))
    except TypeError:
        raise ConfigurationError(
            f"process() takes a function of the job's data, after a JobContext if it wants one; {function!r} does not "
            "take that"
        ) from None
    return Handler(
        queue_name=queue_name,
        name=EVERY_NAME,
        function=function,
        arguments=WholeDataCodec(f"any of queue {queue_name}"),
        wants_context=wants_context,
        is_async=inspect.iscoroutinefunction(function),
        decode_result=_result_decoder(function, EVERY_NAME),
        options=options,
        placement=placement,
    )


def _check_function(function: Callable[..., Any]) -> None:
    if not callable(function):
        raise ConfigurationError(f"a handler must be a function, got {function!r}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(
            f"a handler returns its result, and {function!r} yields, which would never run it: return a list, or tell "
            "of each step with ctx.progress(done, total)"
        )


def _check_upgrade(upgrade: Upgrade | None, options: JobOptions, name: str) -> None:
    if upgrade is None:
        return
    if not callable(upgrade) or inspect.iscoroutinefunction(upgrade):
        raise ConfigurationError(f"upgrade of handler {name!r} must be a function that is not async, got {upgrade!r}")
    if options.version == 1:
        raise ConfigurationError(f"handler {name!r} has an upgrade, but no version: with it belongs version=2 or more")


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


def _result_decoder(function: Callable[..., Any], name: str) -> Callable[[bytes], Any]:
    hint = without_outcomes(_hints(function).get("return", Any))
    try:
        return JsonCodec().decoder(hint)
    except ConfigurationError as exc:
        shown = inspect.formatannotation(hint)
        raise ConfigurationError(
            f"handler {name!r} returns {shown}, which cannot be kept as JSON: {exc.__cause__}; "
            "return what JSON can say, or None"
        ) from exc


def without_outcomes(hint: Any) -> Any:
    """Return what of a handler's return type is its result: ``str`` of ``str | Snooze``.

    >>> without_outcomes(str | Snooze | None)
    str | None
    """
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    kept = [member for member in members if member not in _NO_RESULT]
    if len(kept) == len(members):
        return hint
    return reduce(or_, kept) if kept else Any


class HandlerRegistry:
    """The handlers of one app, by queue and job name."""

    def __init__(self) -> None:
        """Start with none."""
        self._handlers: dict[tuple[str, str], Handler] = {}
        self._stand_ins: dict[str, Handler] = {}

    def add(self, handler: Handler) -> None:
        """Register a handler.

        Raises:
            ConfigurationError: the queue has another handler of this name.
        """
        key = (handler.queue_name, handler.name)
        if key in self._handlers:
            taken = f"a handler called {handler.name!r}; give one of them a name="
            if handler.name == EVERY_NAME:
                taken = "a function for jobs of any name; let that one look at context.job.name"
            raise ConfigurationError(f"queue {handler.queue_name!r} already has {taken}")
        self._handlers[key] = handler

    def stand_in(self, handler: Handler) -> None:
        """Have a handler called for jobs of its queue that this program has none for, in the place of an error."""
        self._stand_ins[handler.queue_name] = handler

    def find(self, queue_name: str, name: str) -> Handler | None:
        """Return the handler, or None."""
        return self._handlers.get((queue_name, name)) or self._handlers.get((queue_name, EVERY_NAME))

    def get(self, job: JobData) -> Handler:
        """Return the handler of a job.

        Raises:
            UnknownHandlerError: this program has none.
        """
        handler = self._handlers.get((job.queue_name, job.name)) or self._handlers.get((job.queue_name, EVERY_NAME))
        if handler is None:
            raise UnknownHandlerError(job.name, self.names(job.queue_name), job_id=job.id, queue_name=job.queue_name)
        return handler

    def get_or_stand_in(self, job: JobData) -> Handler:
        """Return the handler of a job, or what stands in for it.

        Raises:
            UnknownHandlerError: this program has neither.
        """
        handlers, queue_name = self._handlers, job.queue_name
        return (
            handlers.get((queue_name, job.name))
            or handlers.get((queue_name, EVERY_NAME))
            or self._stand_ins.get(queue_name)
            or self.get(job)
        )

    def of_queues(self, queue_names: Iterable[str]) -> Sequence[Handler]:
        """Return the handlers of these queues."""
        wanted = set(queue_names)
        return [handler for (queue, _), handler in self._handlers.items() if queue in wanted]

    def names(self, queue_name: str) -> list[str]:
        """Return the names of a queue's handlers."""
        return sorted(name for queue, name in self._handlers if queue == queue_name)

    def queue_names(self) -> Mapping[str, None]:
        """Return the names of the queues that have handlers, in the order of their first."""
        return {queue: None for queue, _ in self._handlers}
