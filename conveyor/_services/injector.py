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
        self._services: dict[tuple[type[Any], str], object] = {}

    def provide(self, service: type[Any], instance: object, name: str = "") -> None:
        """Make the instance available under a contract's type, and under its own class."""
        self._services[service, name] = instance
        self._services[type(instance), name] = instance

    def get(self, service: type[T], /, name: str = "") -> T:
        """Return the instance; see `Injector.get`."""
        try:
            return cast("T", self._services[service, name])
        except KeyError:
            raise ConfigurationError(self._missing(service, name)) from None

    def _missing(self, service: type[Any], name: str) -> str:
        wanted = service.__name__
        names = [other for kind, other in self._services if kind is service]
        if names:
            return f"no {wanted} is named {name!r} here: {did_you_mean(name, names)}"
        known = [kind.__name__ for kind, _ in self._services]
        return f"nothing of type {wanted!r} is open here: {did_you_mean(wanted, known)}"
