"""Values of the model and bytes: options, errors and progress as stores keep them, and all of it as people see it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import cattrs
import msgspec
from attrs import evolve, fields

from conveyor.codec.json_values import decode_json
from conveyor.model.job import ErrorInfo, JobData, Progress
from conveyor.model.options import JobOptions

__all__ = [
    "decode_error",
    "decode_options",
    "decode_progress",
    "encode_error",
    "encode_options",
    "encode_progress",
    "to_json",
]

_encode: Final = msgspec.json.Encoder().encode

_DEFAULTS: Final = JobOptions()
_DEFAULT_VALUES: Final = tuple((attribute.name, getattr(_DEFAULTS, attribute.name)) for attribute in fields(JobOptions))
# Enough for a queue with ten thousand groups, each of which has options of its own.
_REMEMBERED: Final = 16_384


@lru_cache(maxsize=_REMEMBERED)
def _encode_options(options: JobOptions, metadata: tuple[tuple[str, str], ...]) -> bytes | None:
    del metadata  # part of the cache's key only: options hash and compare without it being hashable
    changed = {name: value for name, default in _DEFAULT_VALUES if (value := getattr(options, name)) != default}
    return _encode(changed) if changed else None


def encode_options(options: JobOptions) -> bytes | None:
    """Return what differs from the defaults, as JSON; None where nothing does."""
    if options is _DEFAULTS:
        return None
    return _encode_options(options, tuple(options.metadata.items()) if options.metadata else ())


@lru_cache(maxsize=_REMEMBERED)
def _decode_options(data: bytes) -> JobOptions:
    return _options_decoder().decode(data)


@lru_cache(maxsize=1)
def _options_decoder() -> msgspec.json.Decoder[JobOptions]:
    return msgspec.json.Decoder(JobOptions)


def decode_options(data: bytes | None) -> JobOptions:
    """Return the options that `encode_options` wrote. Equal bytes without metadata give the same object."""
    if data is None:
        return _DEFAULTS
    options = _decode_options(data)
    # Nobody else may change the metadata of a job by changing those of another.
    return evolve(options) if options.metadata else options


_error_decoder: Final = msgspec.json.Decoder(ErrorInfo)
_progress_decoder: Final = msgspec.json.Decoder(Progress)


def encode_error(error: ErrorInfo) -> bytes:
    """Return an error as JSON."""
    return _encode(error)


def decode_error(data: bytes) -> ErrorInfo:
    """Return the error that `encode_error` wrote."""
    return _error_decoder.decode(data)


def encode_progress(progress: Progress) -> bytes:
    """Return progress as JSON."""
    return _encode(progress)


def decode_progress(data: bytes) -> Progress | None:
    """Return the progress that `encode_progress` wrote; None for anything else: it must not hide its job."""
    try:
        return _progress_decoder.decode(data)
    except msgspec.MsgspecError:
        return None


@lru_cache(maxsize=1)
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_unstructure_hook(timedelta, timedelta.total_seconds)
    converter.register_unstructure_hook(bytes, decode_json)
    return converter


def to_json(value: object) -> Any:
    """Return a value of the model as dicts, lists and scalars: what ``-o json`` and ``to_json()`` show.

    Times are ISO 8601, durations seconds; payloads and results are shown as the JSON they hold, and a lock
    token as one word.
    """
    if isinstance(value, JobData):
        shown = _converter().unstructure(value)
        shown["token"] = None if value.token is None else str(value.token)
        return shown
    return _converter().unstructure(value)
