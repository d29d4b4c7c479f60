"""The life of every strategy: opened in dependency order, closed in reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

__all__ = ["InjectableStrategy", "Injector", "LifespanStrategy"]

T = TypeVar("T")


class Injector(Protocol):
    """Hands out the app's services by type."""

    def get(self, service: type[T], /) -> T:
        """Return the service of this type (a contract such as ``Clock`` or ``Store``).

        Raises:
            ConfigurationError: nothing of this type has been opened yet, or ever will be. Services come in
                this order: settings, clock and logger, store, other strategies, the app's state, workers.
        """
        ...


@runtime_checkable
class InjectableStrategy(Protocol):
    """A replaceable behaviour object with a beginning and an end."""

    async def init(self, injector: Injector, /) -> None:
        """Take what is needed from the injector and open it. Called once, before any other method.

        If it raises, strategies opened before it are closed in reverse, and `destroy` of this one is not called.
        """
        ...

    async def destroy(self) -> None:
        """Close everything. Called once, also after an error, under a shield with a deadline."""
        ...


@runtime_checkable
class LifespanStrategy(Protocol):
    """The same in one piece, for a strategy that owns a task group or other context managers."""

    def lifespan(self, injector: Injector, /) -> AbstractAsyncContextManager[None]:
        """Return a context manager that is open for as long as the strategy is in use."""
        ...
