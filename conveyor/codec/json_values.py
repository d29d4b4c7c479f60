"""JSON values and bytes: how payloads and results are written, what is refused, and where in them it was."""

from __future__ import annotations

import hashlib
import math
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from conveyor.codec.foreign import write_foreign
from conveyor.codec.type_forms import TypeReader
from conveyor.errors import ConfigurationError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["JsonCodec", "decode_json", "encode_json", "hash_json", "payload_error", "raw_decode"]

T = TypeVar("T")

# msgspec, and our own hooks, say where; from the innermost value to the outermost.
_WHERE: Final = re.compile(r" - at `(?P<path>[^`]*)`$")
# A float of MessagePack that is no number; it may be found in other bytes, too, so it only raises suspicion.
_NOT_FINITE: Final = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")
_DEEPEST: Final = 100

_encode: Final = msgspec.json.Encoder(enc_hook=write_foreign).encode
_encode_with_floats: Final = msgspec.msgpack.Encoder(enc_hook=write_foreign).encode
_encode_sorted: Final = msgspec.json.Encoder(order="sorted").encode
raw_decode: Final = msgspec.json.Decoder().decode


class JsonCodec:
    """The built-in `ValueCodec`: JSON by msgspec, strict about types."""

    def encode(self, value: object, /) -> bytes:
        """Return the value as JSON; see `ValueCodec.encode`."""
        return encode_json(value)

    def decoder(self, type_: type[T] | Any, /) -> Callable[[bytes], T]:
        """Prepare to decode one type; see `ValueCodec.decoder`."""
        reader = TypeReader()
        try:
            decode = msgspec.json.Decoder(reader.readable(type_), dec_hook=reader.read).decode
        except (TypeError, ValueError, NameError) as exc:
            raise ConfigurationError(f"values of type {type_!r} cannot be read from JSON: {exc}") from exc

        def decode_checked(data: bytes) -> T:
            try:
                value: T = decode(data)
            except Exception as exc:  # the constructors of users' classes run, and may raise anything
                raise payload_error("value", exc) from exc
            return value

        return decode_checked


def decode_json(data: bytes | None) -> Any:
    """Return JSON as dicts, lists and scalars; None for no data."""
    return None if data is None else raw_decode(data)


def encode_json(value: object, direction: str = "value", name: str = "") -> bytes:
    """Return any JSON-like value as bytes; errors speak of it by its direction and the name of its job.

    Raises:
        PayloadError: something in it has no JSON form; the error has the path to it.
    """
    try:
        payload = _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise PayloadError(direction, _path_to(value, _is_writable), str(exc) or type(exc).__name__, name=name) from exc
    # JSON has no NaN and no infinity: msgspec writes null for them, which would come back as something else.
    if b"null" in payload and not _is_finite(value):
        raise PayloadError(direction, _path_to(value, _is_finite), "NaN and infinity have no JSON form", name=name)
    return payload


def hash_json(data: bytes) -> str:
    """Return a key that two values share exactly when they are the same JSON, whatever the order of their fields.

    It is SHA-256 of the JSON in UTF-8 with sorted fields and no spaces.
    """
    return f"sha256:{hashlib.sha256(_encode_sorted(raw_decode(data))).hexdigest()}"


def _is_writable(value: object) -> bool:
    try:
        _encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError):
        return False
    return True


def _is_finite(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    try:
        if _NOT_FINITE.search(_encode_with_floats(value)) is None:
            return True
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass  # numbers too large for MessagePack: look at each value by itself
    return all(_is_finite(child) for _, child in _children(value))


def _path_to(value: object, is_right: Callable[[object], bool]) -> str:
    """Return the path of the innermost value that is not right."""
    path = "$"
    for _ in range(_DEEPEST):
        wrong = next(((step, child) for step, child in _children(value) if not is_right(child)), None)
        if wrong is None:
            return path
        path, value = path + wrong[0], wrong[1]
    return "$"  # it holds itself


def _children(value: object) -> Iterable[tuple[str, object]]:
    if isinstance(value, dict):
        return [(_step(key), child) for key, child in value.items()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [(f"[{index}]", child) for index, child in enumerate(value)]
    return [(f".{name}", getattr(value, name)) for name in _field_names(value) if hasattr(value, name)]


def _step(key: object) -> str:
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"


def _field_names(value: object) -> Iterable[str]:
    fields: Mapping[str, object] | Iterable[Any] = ()
    kind = type(value)
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    for attribute in ("__dataclass_fields__", "__attrs_attrs__"):
        fields = getattr(kind, attribute, fields)
    return [field if isinstance(field, str) else field.name for field in fields]


def payload_error(direction: str, exc: Exception, *, name: str = "") -> PayloadError:
    """Turn msgspec's complaint into ours, with the path of the field apart."""
    is_told = isinstance(exc, (msgspec.MsgspecError, ValueError, RecursionError))
    text, path = str(exc) if is_told else f"{type(exc).__name__}: {exc}", ""
    while found := _WHERE.search(text):
        text, path = text[: found.start()], path + found["path"].removeprefix("$")
    return PayloadError(direction, f"${path}", text, name=name)
