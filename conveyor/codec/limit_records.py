"""Limits as stores keep them: JSON in which what is not set is left out, and times are whole microseconds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from conveyor.model.limits import NO_LIMITS, GroupLimits, NameLimits, QueueLimits, RateLimit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["decode_limits", "encode_limits"]

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def encode_limits(limits: QueueLimits) -> bytes:
    """Return limits as JSON."""
    names = {
        name: _set(concurrency=named.concurrency, limiter=_rate(named.limiter)) for name, named in limits.names.items()
    }
    group = limits.group
    return _encode(
        _set(
            concurrency=limits.max_global_concurrency,
            limiter=_rate(limits.limiter),
            group=None
            if group is None
            else _set(concurrency=group.concurrency, limiter=_rate(group.limiter), weights=group.weights or None),
            names=names or None,
        )
    )


def decode_limits(data: bytes | None) -> QueueLimits:
    """Return the limits that `encode_limits` wrote; None stands for none."""
    if data is None:
        return NO_LIMITS
    held: Mapping[str, Any] = msgspec.json.decode(data)
    group = held.get("group")
    return QueueLimits(
        max_global_concurrency=held.get("concurrency"),
        limiter=_read_rate(held.get("limiter")),
        group=None
        if group is None
        else GroupLimits(group.get("concurrency"), _read_rate(group.get("limiter")), group.get("weights", {})),
        names={
            name: NameLimits(named.get("concurrency"), _read_rate(named.get("limiter")))
            for name, named in held.get("names", {}).items()
        },
    )


def _set(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _rate(limiter: RateLimit | None) -> dict[str, object] | None:
    if limiter is None:
        return None
    return _set(
        max=limiter.max,
        per=limiter.per_micros,
        key=limiter.key,
        burst=limiter.burst,
        weights=limiter.weights or None,
    )


def _read_rate(held: Mapping[str, Any] | None) -> RateLimit | None:
    if held is None:
        return None
    per = timedelta(microseconds=held["per"])
    return RateLimit(held["max"], per, held.get("key"), held.get("burst"), held.get("weights", {}))
