"""BatchJobDecorator: what ``@queue.job(batch=…)`` makes of a function, as type checkers see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from conveyor._handles.handler import JobHandler
from conveyor._services.context import JobContext

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

__all__ = ["BatchJobDecorator"]

T = TypeVar("T")
R = TypeVar("R")


class BatchJobDecorator(Protocol):
    """Makes a `JobHandler` of a function that takes a list and returns one; each job has one item of either."""

    @overload
    def __call__(
        self, function: Callable[[list[T]], Coroutine[Any, Any, Sequence[R]]], /
    ) -> JobHandler[[list[T]], Coroutine[Any, Any, Sequence[R]], [T], R]: ...
    @overload
    def __call__(
        self, function: Callable[[list[JobContext], list[T]], Coroutine[Any, Any, Sequence[R]]], /
    ) -> JobHandler[[list[JobContext], list[T]], Coroutine[Any, Any, Sequence[R]], [T], R]: ...
    @overload
    def __call__(self, function: Callable[[list[T]], Sequence[R]], /) -> JobHandler[[list[T]], Sequence[R], [T], R]: ...
    @overload
    def __call__(
        self, function: Callable[[list[JobContext], list[T]], Sequence[R]], /
    ) -> JobHandler[[list[JobContext], list[T]], Sequence[R], [T], R]: ...
