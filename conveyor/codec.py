"""Model and payloads to JSON and back: the only importer of cattrs and msgspec."""

from __future__ import annotations

import inspect
import math
import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_type_hints

import cattrs
import msgspec
from attrs import evolve, fields

from conveyor.errors import ConfigurationError, PayloadError
from conveyor.model.job import ErrorInfo, JobData, Progress
from conveyor.model.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "ArgumentsCodec",
    "JsonCodec",
    "decode_error",
    "decode_json",
    "decode_options",
    "decode_progress",
    "encode_error",
    "encode_json",
    "encode_options",
    "encode_progress",
    "to_json",
]

T = TypeVar("T")

_WHERE: Final = re.compile(r" - at `(?P<path>[^`]*)`$")
NO_ARGUMENTS: Final = b"{}"


class JsonCodec:
    """The built-in `PayloadCodec`: JSON by msgspec, strict about types."""

    def encode(self, value: object, /) -> bytes:
        """Return the value as JSON; see `PayloadCodec.encode`."""
        if isinstance(value, float) and not math.isfinite(value):
            raise PayloadError("value", "$", f"{value!r} has no JSON form")
        try:
            return _encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as exc:
            raise PayloadError("value", "$", _reason(exc)) from exc

    def decoder(self, type_: type[T] | Any, /) -> Callable[[bytes], T]:
        """Prepare to decode one type; see `PayloadCodec.decoder`."""
        try:
            decode = msgspec.json.Decoder(type_).decode
        except TypeError as exc:
            raise ConfigurationError(f"values of type {type_!r} cannot be read from JSON: {exc}") from exc

        def decode_checked(data: bytes) -> T:
            try:
                value: T = decode(data)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
                raise payload_error("value", exc) from exc
            return value

        return decode_checked


def encode_json(value: object) -> bytes:
    """Return any JSON-like value as bytes."""
    return JsonCodec().encode(value)


def decode_json(data: bytes | None) -> Any:
    """Return JSON as dicts, lists and scalars; None for no data."""
    return None if data is None else _decode(data)


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode


def payload_error(direction: str, exc: Exception, *, name: str = "") -> PayloadError:
    """Turn msgspec's complaint into ours, with the path of the field apart."""
    text = str(exc)
    found = _WHERE.search(text)
    if found is None:
        return PayloadError(direction, "$", text, name=name)
    return PayloadError(direction, found["path"], text[: found.start()], name=name)


def _reason(exc: Exception) -> str:
    return str(exc) or type(exc).__name__


class ArgumentsCodec:
    """Turns the arguments of one function into a JSON object, checked against its signature, and back."""

    def __init__(self, function: Callable[..., Any], name: str, *, skip: int = 0) -> None:
        """Prepare once for a function.

        Args:
            function: what will be called.
            name: what to call it in messages.
            skip: how many leading parameters are not part of the arguments.

        Raises:
            ConfigurationError: a parameter cannot be sent: ``*args``, ``**kwargs``, or a type unknown to JSON.
        """
        self._name = name
        parameters = list(inspect.signature(function).parameters.values())[skip:]
        _refuse_variable(parameters, name)
        hints = _hints(function, name)
        self._positional = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        self._keyword_only = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        self._has_parameters = bool(parameters)
        try:
            model = msgspec.defstruct(
                "Arguments", [_struct_field(p, hints) for p in parameters], kw_only=True, forbid_unknown_fields=True
            )
            self._decode = msgspec.json.Decoder(model).decode
        except (TypeError, ValueError) as exc:
            raise ConfigurationError(f"handler {name!r} has a parameter that cannot be sent as JSON: {exc}") from exc

    def encode(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> bytes:
        """Return the arguments as JSON.

        Raises:
            PayloadError: they do not fit the signature, or have no JSON form.
        """
        if not args and not kwargs and not self._has_parameters:
            return NO_ARGUMENTS
        if len(args) > len(self._positional):
            raise self._refused("$", f"takes {len(self._positional)} positional arguments, got {len(args)}")
        data = dict(zip(self._positional, args, strict=False))
        for key, value in kwargs.items():
            if key in data:
                raise self._refused(f"$.{key}", "is given twice")
            data[key] = value
        try:
            payload = _encode(data)
        except (TypeError, ValueError, OverflowError, RecursionError) as exc:
            raise self._refused("$", _reason(exc)) from exc
        self.check(payload)
        return payload

    def check(self, payload: bytes) -> None:
        """Raise PayloadError unless the payload fits the signature."""
        self._read(payload)

    def decode(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return positional and keyword arguments to call the function with.

        Raises:
            PayloadError: the payload does not fit the signature.
        """
        if payload == NO_ARGUMENTS and not self._has_parameters:
            return (), {}
        arguments = self._read(payload)
        positional = tuple([getattr(arguments, name) for name in self._positional])
        return positional, {name: getattr(arguments, name) for name in self._keyword_only}

    def _read(self, payload: bytes) -> Any:
        try:
            return self._decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise payload_error("arguments", exc, name=self._name) from exc

    def _refused(self, path: str, reason: str) -> PayloadError:
        return PayloadError("arguments", path, reason, name=self._name)


def _refuse_variable(parameters: list[inspect.Parameter], name: str) -> None:
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigurationError(
                f"handler {name!r} takes {parameter}, which cannot be checked when a job is added; name its parameters"
            )


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as exc:
        raise ConfigurationError(
            f"a type in the signature of handler {name!r} is not known at run time: {exc}; "
            "import it outside TYPE_CHECKING, and define it at module level"
        ) from exc


def _struct_field(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Any:
    hint = hints.get(parameter.name, Any)
    if parameter.default is parameter.empty:
        return (parameter.name, hint)
    default = parameter.default
    return (parameter.name, hint, msgspec.field(default_factory=lambda: default))


_DEFAULTS: Final = JobOptions()


@lru_cache(maxsize=1024)
def _encode_options(options: JobOptions, metadata: tuple[tuple[str, str], ...]) -> bytes | None:
    del metadata  # part of the cache's key only: options hash and compare without it being hashable
    changed = {
        attribute.name: value
        for attribute in fields(JobOptions)
        if (value := getattr(options, attribute.name)) != getattr(_DEFAULTS, attribute.name)
    }
    return _encode(changed) if changed else None


def encode_options(options: JobOptions) -> bytes | None:
    """Return what differs from the defaults, as JSON; None where nothing does."""
    if options is _DEFAULTS:
        return None
    return _encode_options(options, tuple(options.metadata.items()) if options.metadata else ())


@lru_cache(maxsize=1024)
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
