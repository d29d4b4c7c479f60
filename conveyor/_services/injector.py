"""The injector: hands out what has been opened so far, by type."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from conveyor.errors import ConfigurationError, did_you_mean

__all__ = ["Registry"]

T = TypeVar("T")


class Registry:
    """An `Injector` that is filled in dependency order."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._services: dict[type[Any], object] = {}

    def provide(self, service: type[Any], instance: object) -> None:
        """Make the instance available under a contract's type."""
        self._services[service] = instance

    def get(self, service: type[T], /) -> T:
        """Return the instance; see `Injector.get`."""
        try:
            return cast("T", self._services[service])
        except KeyError:
            known = [known.__name__ for known in self._services]
            raise ConfigurationError(
                f"nothing of type {service.__name__!r} is open here: {did_you_mean(service.__name__, known)}"
            ) from None
