"""Model and payloads to JSON and back: the only importer of cattrs and msgspec."""

from __future__ import annotations

from conveyor.codec.arguments import ArgumentsCodec, Upgrade
from conveyor.codec.batch_records import (
    decode_counts,
    decode_row_error,
    encode_counts,
    encode_row_error,
    find_preview,
)
from conveyor.codec.buffers import decode_deduplication, encode_deduplication
from conveyor.codec.encryption import AesGcmCodec
from conveyor.codec.json_values import JsonCodec, decode_json, encode_json, hash_json
from conveyor.codec.limit_records import decode_limits, encode_limits
from conveyor.codec.records import (
    decode_error,
    decode_options,
    decode_progress,
    encode_error,
    encode_options,
    encode_progress,
    to_json,
)
from conveyor.codec.schedules import decode_rule, decode_state, encode_rule, encode_state, schedule_to_json
from conveyor.codec.whole_data import WholeDataCodec

__all__ = [
    "AesGcmCodec",
    "ArgumentsCodec",
    "JsonCodec",
    "Upgrade",
    "WholeDataCodec",
    "decode_counts",
    "decode_deduplication",
    "decode_error",
    "decode_json",
    "decode_limits",
    "decode_options",
    "decode_progress",
    "decode_row_error",
    "decode_rule",
    "decode_state",
    "encode_counts",
    "encode_deduplication",
    "encode_error",
    "encode_json",
    "encode_limits",
    "encode_options",
    "encode_progress",
    "encode_row_error",
    "encode_rule",
    "encode_state",
    "find_preview",
    "hash_json",
    "schedule_to_json",
    "to_json",
]
