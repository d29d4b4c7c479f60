"""The NATS job queue's URL as typed options."""

from __future__ import annotations

import re
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

from attrs import field, frozen

from conveyor.errors import ConfigurationError, did_you_mean
from conveyor.model.checks import is_not_negative
from conveyor.model.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attrs import Attribute

__all__ = ["DEFAULT_URL", "SCHEMES", "NatsOptions", "Sync", "parse_url"]

DEFAULT_URL: Final = "nats://localhost:4222"
# What is in front of :// for conveyor, and for the driver.
SCHEMES: Final = {"nats": "nats", "nats+tls": "tls"}
MOST_REPLICAS: Final = 5
# A TTL of JetStream is a number of whole seconds.
SHORTEST_KEPT: Final = timedelta(seconds=1)
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Sync(StrEnum):
    """What the server's setting ``sync_interval`` has to be.

    ANY: whatever it is; an acknowledged add survives the death of the server's process. ALWAYS: ``always``, so that it
    survives a power failure, too; the server is asked when the job queue is opened.
    """

    ANY = "any"
    ALWAYS = "always"


def _is_longer_than_zero(_: object, attribute: Attribute[timedelta], value: timedelta) -> None:
    if value <= timedelta(0):
        raise ConfigurationError(f"{attribute.name} must be longer than zero")


def _is_kept(_: object, attribute: Attribute[timedelta], value: timedelta) -> None:
    if value < SHORTEST_KEPT:
        raise ConfigurationError(f"{attribute.name} must be at least a second, which is JetStream's finest")


def _is_name(_: object, attribute: Attribute[str], value: str) -> None:
    if not _NAME.fullmatch(value):
        raise ConfigurationError(
            f"{attribute.name} must be 1 to 64 letters, digits, - and _, for NATS allows no others, got {value!r}"
        )


def _is_replicas(_: object, attribute: Attribute[int], value: int) -> None:
    if not 1 <= value <= MOST_REPLICAS:
        raise ConfigurationError(f"{attribute.name} must be from 1 to {MOST_REPLICAS}, got {value}")


def _are_servers(_: object, attribute: Attribute[tuple[str, ...]], value: tuple[str, ...]) -> None:
    for server in value:
        try:
            parts = urlsplit(server)
            is_server = parts.scheme in SCHEMES.values() and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_server = False
        if not is_server:
            raise ConfigurationError(
                f"{attribute.name} must be URLs such as nats://host:4222 or tls://host:4222, got "
                f"{_without_secrets(server)!r}"
            )
    if not value:
        raise ConfigurationError(f"{attribute.name} must name a server")


def _is_web_address(_: object, attribute: Attribute[str | None], value: str | None) -> None:
    if value is not None and (urlsplit(value).scheme not in {"http", "https"} or not urlsplit(value).netloc):
        raise ConfigurationError(
            f"{attribute.name} must be the URL of the server's monitoring port, http://host:8222, got {value!r}"
        )


def _is_file(_: object, attribute: Attribute[str | None], value: str | None) -> None:
    if value is not None and not Path(value).is_file():
        raise ConfigurationError(f"{attribute.name} must be the path of a file of credentials, and {value!r} is none")


def _sync(value: str) -> Sync:
    try:
        return Sync(value)
    except ValueError:
        raise ConfigurationError(f"sync must be one of: {', '.join(Sync)}; got {value!r}") from None


@frozen
class NatsOptions:
    """Where the server is, and how the stream is made and used.

    Attributes:
        servers: the URLs of one or more servers of a cluster, with user and password where they want them.
        stream: the name of the stream, and the first word of its subjects.
        replicas: how many servers of a cluster keep each message; a stream that is there may have more, not fewer.
        lock_duration: how long a job stays with a worker that says nothing of it; JetStream's ``ack_wait``. All
            workers of a queue have the same.
        timeout: how long an answer of the server may take.
        connect_timeout: how long to wait for the first connection; one that is lost later is made again for ever.
        max_stalled: how often a job may be delivered to a worker that says nothing of it, as one that died; one more
            time makes it a dead letter.
        keep_completed: for how long the results of completed and cancelled jobs are kept.
        keep_failed: for how long jobs that failed for good are kept, with their arguments: the dead letters.
        sync: what the server's ``sync_interval`` has to be.
        monitor: the URL of the server's monitoring port, which is asked for it.
        credentials: a file of credentials, where the server wants one.
    """

    servers: tuple[str, ...] = field(default=(DEFAULT_URL,), validator=_are_servers)
    stream: str = field(default="conveyor", validator=_is_name)
    replicas: int = field(default=1, validator=_is_replicas)
    lock_duration: timedelta = field(default=timedelta(seconds=30), validator=_is_longer_than_zero)
    timeout: timedelta = field(default=timedelta(seconds=5), validator=_is_longer_than_zero)
    connect_timeout: timedelta = field(default=timedelta(seconds=5), validator=_is_longer_than_zero)
    max_stalled: int = field(default=3, validator=is_not_negative)
    keep_completed: timedelta = field(default=timedelta(hours=1), validator=_is_kept)
    keep_failed: timedelta = field(default=timedelta(days=30), validator=_is_kept)
    sync: Sync = field(default=Sync.ANY, converter=_sync)
    monitor: str | None = field(default=None, validator=_is_web_address)
    credentials: str | None = field(default=None, validator=_is_file)

    def __attrs_post_init__(self) -> None:
        """Refuse what cannot be had together."""
        if self.sync is Sync.ALWAYS and self.monitor is None:
            raise ConfigurationError(
                "sync=always is checked at the server's monitoring port: add monitor=http://host:8222"
            )

    @property
    def shown(self) -> str:
        """Where it is, for messages, without users and passwords."""
        return ",".join(urlsplit(server).netloc.rpartition("@")[2] for server in self.servers)


def parse_url(url: str) -> NatsOptions:
    """Turn ``nats://user:password@host:4222,other:4222?stream=jobs&lock_duration=1m`` into options.

    Raises:
        ConfigurationError: a part does not fit; the message names it and what is allowed.
    """
    parts = urlsplit(url)
    scheme = SCHEMES.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise ConfigurationError(
            f"a NATS URL begins with nats:// or nats+tls:// and a host, got {_without_secrets(url)!r}"
        )
    if parts.path.strip("/"):
        raise ConfigurationError(f"a NATS URL has no path; name the stream with ?stream={parts.path.strip('/')}")
    user, at, hosts = parts.netloc.rpartition("@")
    servers = tuple(f"{scheme}://{user}{at}{host}" for host in hosts.split(","))
    given: dict[str, Any] = {key: _READERS[key](key, text) for key, text in _query(parts.query).items()}
    return NatsOptions(servers=servers, **given)


def _without_secrets(url: str) -> str:
    return re.sub(r"//[^@/]*@", "//…@", url)


def _query(query: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key not in _READERS:
            raise ConfigurationError(f"unknown option {key!r} in a NATS URL: {did_you_mean(key, _READERS)}")
        if key in found:
            raise ConfigurationError(f"option {key!r} is given twice in a NATS URL")
        found[key] = value
    return found


def _duration(key: str, text: str) -> timedelta:
    return parse_duration(text, field=key)


def _number(key: str, text: str) -> int:
    if not text.isdecimal():
        raise ConfigurationError(f"{key} must be a whole number, got {text!r}")
    return int(text)


def _text(_: str, text: str) -> str:
    return text


_READERS: Final[Mapping[str, Callable[[str, str], object]]] = {
    "connect_timeout": _duration,
    "credentials": _text,
    "keep_completed": _duration,
    "keep_failed": _duration,
    "lock_duration": _duration,
    "max_stalled": _number,
    "monitor": _text,
    "replicas": _number,
    "stream": _text,
    "sync": _text,
    "timeout": _duration,
}
