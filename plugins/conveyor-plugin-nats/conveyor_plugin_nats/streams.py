"""The stream and its consumers: made where they are missing, looked at where they are there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.error import URLError
from urllib.request import urlopen

import nats.js.errors
from nats.js.api import AckPolicy, ConsumerConfig, PersistMode, RetentionPolicy, StorageType, StreamConfig

from conveyor.errors import CapabilityError, StoreError, StoreUnavailableError
from conveyor_plugin_nats.broker_errors import broker_errors
from conveyor_plugin_nats.naming import Kind, consumer_name, waiting_in

if TYPE_CHECKING:
    from conveyor_plugin_nats.connection import Connection
    from conveyor_plugin_nats.options import NatsOptions

__all__ = ["check_sync", "ensure_consumer", "ensure_stream"]

# Within it the same add again is known even if nothing of the job is kept.
DUPLICATE_WINDOW_SECONDS: Final = 120.0
# What the server says to more replicas than it has servers: alone, and in a cluster.
_TOO_FEW_SERVERS: Final = frozenset({10074, 10005})
# Others would lose jobs, or time them otherwise than this program believes.
CONSUMER_SETTINGS: Final = ("ack_policy", "ack_wait", "max_deliver", "max_ack_pending", "filter_subject")


async def ensure_stream(connection: Connection) -> None:
    """Make the stream, or see that the one that is there loses no job.

    Raises:
        StoreError: it has other settings.
        CapabilityError: there are fewer servers than are to keep each message.
    """
    options, jetstream = connection.options, connection.jetstream
    with broker_errors(options.shown):
        try:
            found = (await jetstream.stream_info(options.stream)).config
        except nats.js.errors.NotFoundError:
            # Two programs may make it at once: what is alike is made once.
            found = await _add_stream(connection)
    wrong = _wrong_settings(found, options)
    if wrong:
        raise StoreError(
            f"stream {options.stream!r} of NATS at {options.shown} cannot be used: {'; '.join(wrong)}. Change it, or "
            "name another with ?stream="
        )


async def _add_stream(connection: Connection) -> StreamConfig:
    options = connection.options
    try:
        return (await connection.jetstream.add_stream(_stream_config(options))).config
    except nats.js.errors.APIError as exc:
        if exc.err_code not in _TOO_FEW_SERVERS:
            raise
        needed = f"a cluster of {options.replicas} servers in reach"
        raise CapabilityError(options.shown, needed, f"replicas={options.replicas}", kind="NATS server") from exc


def _stream_config(options: NatsOptions) -> StreamConfig:
    return StreamConfig(
        name=options.stream,
        description="Jobs of conveyor",
        subjects=[f"{options.stream}.{kind}.*.*" for kind in Kind],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        num_replicas=options.replicas,
        max_msgs_per_subject=1,
        duplicate_window=DUPLICATE_WINDOW_SECONDS,
        allow_msg_ttl=True,
        allow_msg_schedules=True,
    )


def _wrong_settings(found: StreamConfig, options: NatsOptions) -> list[str]:
    """Return what is wrong with a stream: each of these loses jobs, or lets two runs of one write."""
    wanted = _stream_config(options)
    copies = found.num_replicas or 1
    has_limits = any((limit or -1) > 0 for limit in (found.max_msgs, found.max_bytes, found.max_age))
    looks = {
        f"its subjects must be {', '.join(wanted.subjects or ())}": set(found.subjects or ())
        == set(wanted.subjects or ()),
        "its retention must be workqueue": found.retention == RetentionPolicy.WORK_QUEUE,
        "its storage must be file": found.storage == StorageType.FILE,
        f"it must keep each message on {options.replicas} servers, and does on {copies}": copies >= options.replicas,
        "it must keep one message of a subject (max_msgs_per_subject)": found.max_msgs_per_subject == 1,
        "it must allow TTLs and schedules of messages": found.allow_msg_ttl and found.allow_msg_schedules,
        "it has limits (max_msgs, max_bytes or max_age), beyond which it would drop its oldest jobs": not has_limits,
        "its persist_mode must not be async": found.persist_mode != PersistMode.ASYNC,
    }
    return [wrong for wrong, is_right in looks.items() if not is_right]


async def ensure_consumer(connection: Connection, queue_name: str) -> str:
    """Make the consumer of a queue, or see that the one that is there is the same; return its name.

    Raises:
        StoreError: it has other settings: workers with another ``lock_duration`` share the queue.
    """
    options, name = connection.options, consumer_name(queue_name)
    wanted = ConsumerConfig(
        durable_name=name,
        name=name,
        description=f"Workers of queue {queue_name}",
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=options.lock_duration.total_seconds(),
        # Retries and stalls are counted in records of our own; jobs that wait for a retry must not hold up others.
        max_deliver=-1,
        max_ack_pending=-1,
        filter_subject=waiting_in(options.stream, queue_name),
    )
    with broker_errors(options.shown):
        try:
            found = (await connection.jetstream.consumer_info(options.stream, name)).config
        except nats.js.errors.NotFoundError:
            found = (await connection.jetstream.add_consumer(options.stream, wanted)).config
    for setting in CONSUMER_SETTINGS:
        there, asked = _rounded(getattr(found, setting, None)), _rounded(getattr(wanted, setting))
        if there != asked:
            raise StoreError(
                f"the consumer of queue {queue_name!r} has {setting}={there!r}, and here it is {asked!r}: give all "
                f"workers the same lock_duration, or stop them and remove the consumer {name!r} of stream "
                f"{options.stream!r}"
            )
    return name


def _rounded(value: object) -> object:
    # The server has nanoseconds, and what it makes of a fraction of a second need not be the same float.
    return round(value, 6) if isinstance(value, float) else value


def check_sync(options: NatsOptions) -> None:
    """See that the server writes each message to its disk before it acknowledges it. It blocks: call it in a thread.

    Raises:
        CapabilityError: it does not.
        StoreUnavailableError: its monitoring port does not answer.
    """
    settings = _read_settings(f"{options.monitor}/varz", options.timeout.total_seconds())
    if not settings.get("sync_always"):
        raise CapabilityError(options.shown, "sync_interval: always", "sync=always", kind="NATS server")


def _read_settings(url: str, timeout: float) -> dict[str, object]:
    try:
        with urlopen(url, timeout=timeout) as answer:  # noqa: S310 - options.py lets only http and https in
            settings: dict[str, object] = json.load(answer).get("jetstream", {}).get("config", {})
            return settings
    except (URLError, OSError, ValueError, AttributeError) as exc:
        raise StoreUnavailableError(f"the monitoring port of NATS, {url}, did not answer as it should: {exc}") from exc
