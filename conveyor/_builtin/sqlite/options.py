"""The SQLite store's URL as typed options."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from attrs import frozen

from conveyor.errors import ConfigurationError, did_you_mean
from conveyor.model.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SqliteOptions", "Synchronous", "parse_url"]

_SHAPE: Final = "sqlite:///relative.db or sqlite:////absolute.db"
_KEYS: Final = ("auto_migrate", "busy_timeout", "synchronous")
_BOOLEANS: Final = {"true": True, "false": False}


class Synchronous(StrEnum):
    """When SQLite waits for the disk: at every commit, or at checkpoints only."""

    FULL = "full"
    NORMAL = "normal"


@frozen
class SqliteOptions:
    """Where the file is and how to treat it.

    Attributes:
        path: the database file.
        synchronous: FULL survives a loss of power; NORMAL is faster and survives a crash of the process.
        busy_timeout: how long to wait while another process writes.
        auto_migrate: bring the schema up to date when the store is opened.
    """

    path: Path
    synchronous: Synchronous = Synchronous.FULL
    busy_timeout: timedelta = timedelta(seconds=5)
    auto_migrate: bool = True


def parse_url(url: str) -> SqliteOptions:
    """Turn ``sqlite:///jobs.db?synchronous=normal&busy_timeout=5s&auto_migrate=false`` into options.

    Raises:
        ConfigurationError: a part does not fit; the message names it and what is allowed.
    """
    parts = urlsplit(url)
    if parts.scheme != "sqlite":
        raise ConfigurationError(f"the SQLite store takes {_SHAPE}, got the scheme {parts.scheme!r}")
    if parts.netloc:
        raise ConfigurationError(f"a SQLite URL has no host, got {parts.netloc!r}: write {_SHAPE}")
    if parts.fragment:
        raise ConfigurationError(f"a SQLite URL has no fragment, got {parts.fragment!r}: write {_SHAPE}")
    path = unquote(parts.path).removeprefix("/")
    if Path(path).name in {"", ".."} or path.endswith("/") or "\0" in path:
        raise ConfigurationError(f"a SQLite URL names a file, got the path {parts.path!r}: write {_SHAPE}")
    if path == ":memory:":
        raise ConfigurationError("the SQLite store keeps its jobs in a file; for a store in memory write memory://")
    given = _query(parts.query)
    return SqliteOptions(
        path=Path(path),
        synchronous=_synchronous(given.get("synchronous", Synchronous.FULL)),
        busy_timeout=parse_duration(given.get("busy_timeout", "5s"), field="busy_timeout"),
        auto_migrate=_boolean("auto_migrate", given.get("auto_migrate", "true")),
    )


def _query(query: str) -> Mapping[str, str]:
    given: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in _KEYS:
            raise ConfigurationError(f"unknown option {key!r} in a SQLite URL: {did_you_mean(key, _KEYS)}")
        if key in given:
            raise ConfigurationError(f"option {key!r} is given twice in a SQLite URL")
        given[key] = value
    return given


def _synchronous(value: str) -> Synchronous:
    try:
        return Synchronous(value.lower())
    except ValueError:
        raise ConfigurationError(f"synchronous must be one of: {', '.join(Synchronous)}; got {value!r}") from None


def _boolean(key: str, value: str) -> bool:
    try:
        return _BOOLEANS[value.lower()]
    except KeyError:
        raise ConfigurationError(f"{key} must be one of: {', '.join(_BOOLEANS)}; got {value!r}") from None
