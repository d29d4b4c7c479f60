"""The life of every strategy: opened in dependency order, closed in reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

__all__ = ["InjectableStrategy", "Injector", "LifespanStrategy", "Settings"]

T = TypeVar("T")


class Injector(Protocol):
    """Hands out the app's services by type."""

    def get(self, service: type[T], /, name: str = "") -> T:
        """Return the service of this type: a contract such as ``Clock`` or ``Store``, or the class of an instance.

        Services come in this order: settings, clock and logger, store, other strategies, the app's state, workers.
        A strategy may keep the injector, and ask for what is opened after it once it needs it.

        Args:
            service: the contract's type; or the class of a strategy or of the app's state.
            name: which of several of one type; without it, the one that is the app's own.

        Raises:
            ConfigurationError: nothing of this type and name has been opened yet, or ever will be.
        """
        ...


class Settings(Protocol):
    """Where strategies find their options that were not given in code; the injector has it first of all."""

    def read(self, name: str, options: type[T], /) -> T:
        """Make options: each field from ``CONVEYOR_STRATEGIES_NAME_FIELD``, else pyproject.toml, else its default.

        In pyproject.toml they stand in ``[tool.conveyor.strategies.name]``.

        Args:
            name: which strategy's; several instances of one have different names.
            options: an attrs class; its fields are strings, numbers, booleans, timedeltas or tuples of strings.

        Raises:
            ConfigurationError: a key is unknown, a value does not fit, or one that is needed is missing.
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
