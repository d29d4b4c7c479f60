"""Schedules and bytes: rules and states as stores keep them, and the whole as people see it."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import msgspec

from conveyor.codec.json_values import decode_json
from conveyor.codec.records import to_json
from conveyor.model.schedules.values import ScheduleData, ScheduleRule, ScheduleState

__all__ = ["decode_rule", "decode_state", "encode_rule", "encode_state", "schedule_to_json"]

_encode: Final = msgspec.json.Encoder().encode


@lru_cache(maxsize=1)
def _rule_decoder() -> msgspec.json.Decoder[ScheduleRule]:
    return msgspec.json.Decoder(ScheduleRule)


@lru_cache(maxsize=1)
def _state_decoder() -> msgspec.json.Decoder[ScheduleState]:
    return msgspec.json.Decoder(ScheduleState)


def encode_rule(rule: ScheduleRule) -> bytes:
    """Return a rule as JSON."""
    return _encode(rule)


def decode_rule(data: bytes) -> ScheduleRule:
    """Return the rule that `encode_rule` wrote; whether its zone is known here is not asked."""
    return _rule_decoder().decode(data)


def encode_state(state: ScheduleState) -> bytes:
    """Return a state as JSON."""
    return _encode(state)


def decode_state(data: bytes) -> ScheduleState:
    """Return the state that `encode_state` wrote."""
    return _state_decoder().decode(data)


def schedule_to_json(schedule: ScheduleData) -> dict[str, Any]:
    """Return a schedule as one flat object: what ``-o json`` shows, with its rule in words."""
    spec = schedule.spec
    return {
        "id": spec.id,
        "queue_name": spec.queue_name,
        "name": spec.name,
        "in_words": schedule.in_words,
        **to_json(schedule.state),
        "rule": to_json(spec.rule),
        "payload": decode_json(spec.payload),
        "options": to_json(spec.options),
    }
