"""The PostgreSQL store's URL as typed options."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from attrs import evolve, frozen

from conveyor.errors import ConfigurationError, did_you_mean
from conveyor.model.durations import parse_duration
from conveyor_plugin_postgres.statements import DEFAULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

Choice = TypeVar("Choice")

__all__ = ["BridgeKind", "ClockKind", "PostgresOptions", "parse_url"]

# Ours; whatever else stands in the query is the driver's: host, port, sslmode, ...
_KEYS: Final = (
    *("auto_migrate", "bridge", "clock", "connect_timeout", "direct", "full_fetch_interval", "notify", "pool_size"),
    *("pooler", "schema", "timeout"),
)
_DRIVER_KEYS: Final = (
    *("host", "port", "dbname", "database", "user", "password", "passfile", "service", "servicefile"),
    *("sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version", "target_session_attrs", "krbsrvname", "gsslib"),
    *("application_name", "options"),
)
_BOOLEANS: Final = {"true": True, "false": False}
_POOLERS: Final = {"none": False, "transaction": True}
_DIRECT: Final = re.compile(r"(\[[0-9a-f:.]+\]|[^\s\[\]:/@,?#]+)(:[0-9]{1,5})?", re.IGNORECASE)
_SCHEMA: Final = re.compile(r"[a-z_][a-z0-9_]{0,47}")
_MOST_CONNECTIONS: Final = 1000


class BridgeKind(StrEnum):
    """How asyncpg is reached under trio: a loop within trio's, or one in a thread of its own."""

    LOOP = "loop"
    THREAD = "thread"


class ClockKind(StrEnum):
    """Whose time it is: the database's, or, in tests, that of the clock which the app was given."""

    DATABASE = "database"
    APP = "app"


@frozen
class PostgresOptions:
    """Where the database is and how to treat it.

    Attributes:
        dsn: what the driver is given, without our own options.
        shown: the same for messages, without user and password.
        schema: where everything is kept.
        pool_size: how many connections at most, besides one that listens and one for each renewing thread.
        timeout: how long a statement may take.
        connect_timeout: how long to wait for a connection, a new one or one of the pool.
        auto_migrate: bring the schema up to date when the store is opened.
        bridge: how the driver is reached under trio; None: the loop, where that can be had.
        clock: whose time counts.
        full_fetch_interval: how often, at least, a fetch looks for jobs before those that were fetched last.
        is_pooled: a pooler is in between, and each transaction may meet another connection of the server.
        direct_dsn: where the server itself is, for the connection that listens; None: at `dsn`.
        is_notifying: tell other processes what happens here.
    """

    dsn: str
    shown: str
    schema: str = DEFAULT_SCHEMA
    pool_size: int = 5
    timeout: timedelta = timedelta(seconds=10)
    connect_timeout: timedelta = timedelta(seconds=5)
    auto_migrate: bool = True
    bridge: BridgeKind | None = None
    clock: ClockKind = ClockKind.DATABASE
    full_fetch_interval: timedelta = timedelta(milliseconds=250)
    is_pooled: bool = False
    direct_dsn: str | None = None
    is_notifying: bool = True

    @property
    def is_listening(self) -> bool:
        """Whether other processes are heard: a pooler would give what one listens with to somebody else."""
        return self.is_notifying and (not self.is_pooled or self.direct_dsn is not None)

    def without_pooler(self) -> PostgresOptions:
        """Return the options of a connection to the server itself."""
        return evolve(self, dsn=self.direct_dsn or self.dsn, is_pooled=False)


def parse_url(url: str) -> PostgresOptions:
    """Turn ``postgresql://user@host/database?schema=jobs&pool_size=10`` into options.

    Raises:
        ConfigurationError: a part does not fit; the message names it and what is allowed.
    """
    parts = urlsplit(url)
    ours, drivers = _query(parts.query)
    schema = ours.get("schema", DEFAULT_SCHEMA)
    if not _SCHEMA.fullmatch(schema):
        raise ConfigurationError(
            f"schema must be a name of small letters, digits and _, of at most 48 characters, got {schema!r}"
        )
    parts = parts._replace(scheme="postgresql")
    is_pooled = _choice("pooler", ours.get("pooler", "none"), _POOLERS)
    is_notifying = _choice("notify", ours.get("notify", "true"), _BOOLEANS)
    if "direct" in ours and not (is_pooled and is_notifying):
        raise ConfigurationError(
            "direct= is where to listen past a pooler: it takes pooler=transaction, and no notify=false"
        )
    return PostgresOptions(
        dsn=urlunsplit(parts._replace(query=urlencode(drivers))),
        shown=_shown(parts.netloc.rpartition("@")[2] or drivers.get("host"), parts.path, schema),
        schema=schema,
        pool_size=_number("pool_size", ours.get("pool_size", "5"), _MOST_CONNECTIONS),
        timeout=_duration("timeout", ours.get("timeout", "10s")),
        connect_timeout=_duration("connect_timeout", ours.get("connect_timeout", "5s")),
        auto_migrate=_choice("auto_migrate", ours.get("auto_migrate", "true"), _BOOLEANS),
        bridge=_choice("bridge", ours["bridge"], {kind.value: kind for kind in BridgeKind})
        if "bridge" in ours
        else None,
        full_fetch_interval=_duration("full_fetch_interval", ours.get("full_fetch_interval", "250ms")),
        clock=_choice("clock", ours.get("clock", "database"), {kind.value: kind for kind in ClockKind}),
        is_pooled=is_pooled,
        direct_dsn=_direct(parts, drivers, ours["direct"]) if "direct" in ours else None,
        is_notifying=is_notifying,
    )


def _query(query: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
    ours: dict[str, str] = {}
    drivers: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in _KEYS and key not in _DRIVER_KEYS:
            known = (*_KEYS, *_DRIVER_KEYS)
            raise ConfigurationError(f"unknown option {key!r} in a PostgreSQL URL: {did_you_mean(key, known)}")
        if key in ours or key in drivers:
            raise ConfigurationError(f"option {key!r} is given twice in a PostgreSQL URL")
        (ours if key in _KEYS else drivers)[key] = value
    return ours, drivers


def _direct(parts: SplitResult, drivers: Mapping[str, str], address: str) -> str:
    if not _DIRECT.fullmatch(address):
        raise ConfigurationError(f"direct must be the server's host or host:port, got {address!r}")
    user, at, _ = parts.netloc.rpartition("@")
    query = urlencode({key: value for key, value in drivers.items() if key not in {"host", "port"}})
    return urlunsplit(parts._replace(netloc=f"{user}{at}{address}", query=query))


def _shown(address: str | None, path: str, schema: str) -> str:
    where = f"{address or 'localhost'}{path}"
    return f"postgresql:{where}" if schema == DEFAULT_SCHEMA else f"postgresql:{where}?schema={schema}"


def _number(key: str, value: str, most: int) -> int:
    if not value.isdecimal() or not 1 <= int(value) <= most:
        raise ConfigurationError(f"{key} must be a whole number from 1 to {most}, got {value!r}")
    return int(value)


def _duration(key: str, value: str) -> timedelta:
    duration = parse_duration(value, field=key)
    if not duration:
        raise ConfigurationError(f"{key} must be longer than zero")
    return duration


def _choice(key: str, value: str, allowed: Mapping[str, Choice]) -> Choice:
    try:
        return allowed[value.lower()]
    except KeyError:
        raise ConfigurationError(f"{key} must be one of: {', '.join(allowed)}; got {value!r}") from None
