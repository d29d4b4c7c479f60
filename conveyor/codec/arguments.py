"""The arguments of one function: checked against its signature, written as a JSON object, and read back."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias, get_type_hints

import msgspec

from conveyor.codec.json_values import decode_json, encode_json, payload_error
from conveyor.codec.type_forms import TypeReader
from conveyor.errors import ConfigurationError, PayloadError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ArgumentsCodec", "Upgrade"]

NO_ARGUMENTS: Final = b"{}"

# From a version and the arguments of a job that has it, to the arguments that the function takes now.
Upgrade: TypeAlias = Callable[[int, dict[str, Any]], dict[str, Any]]


class ArgumentsCodec:
    """Turns the arguments of one function into a JSON object, checked against its signature, and back."""

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        *,
        skip: int = 0,
        version: int = 1,
        upgrade: Upgrade | None = None,
        forbid_unknown: bool = True,
    ) -> None:
        """Prepare once for a function.

        Args:
            function: what will be called.
            name: what to call it in messages.
            skip: how many leading parameters are not part of the arguments.
            version: which version of its arguments the function takes.
            upgrade: makes the arguments of older versions fit.
            forbid_unknown: refuse arguments that the function does not take; False ignores them.

        Raises:
            ConfigurationError: a parameter cannot be sent: ``*args``, ``**kwargs``, or a type unknown to JSON.
        """
        self._name = name
        self._version = version
        self._upgrade = upgrade
        parameters = list(inspect.signature(function).parameters.values())[skip:]
        _refuse_variable(parameters, name)
        self._positional = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        self._keyword_only = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        self._has_parameters = bool(parameters)
        self._decode = _decoder(parameters, signature_hints(function, name), name, forbid_unknown=forbid_unknown)

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
        payload = encode_json(data, "arguments", self._name)
        self._read(payload)
        return payload

    def check(self, payload: bytes, version: int) -> None:
        """Raise PayloadError unless a payload of this version fits the signature, upgraded where it is older."""
        self._read(payload if version == self._version else self._upgraded(payload, version))

    def decode(self, payload: bytes, version: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return positional and keyword arguments to call the function with.

        Raises:
            PayloadError: the payload does not fit the signature, is newer, or cannot be upgraded.
        """
        if version != self._version:
            payload = self._upgraded(payload, version)
        if payload == NO_ARGUMENTS and not self._has_parameters:
            return (), {}
        arguments = self._read(payload)
        positional = tuple([getattr(arguments, name) for name in self._positional])
        return positional, {name: getattr(arguments, name) for name in self._keyword_only}

    def _read(self, payload: bytes) -> Any:
        try:
            return self._decode(payload)
        except Exception as exc:  # the constructors of users' classes run, and may raise anything
            raise payload_error("arguments", exc, name=self._name) from exc

    def _upgraded(self, payload: bytes, version: int) -> bytes:
        if version > self._version:
            raise self._refused("$", f"are of version {version}, newer than {self._version}, which this program takes")
        arguments = decode_json(payload)
        if self._upgrade is None or not isinstance(arguments, dict):
            return payload
        try:
            upgraded = self._upgrade(version, arguments)
        except Exception as exc:  # whatever a user's function may raise
            raise self._refused("$", f"the upgrade from version {version} raised {type(exc).__name__}: {exc}") from exc
        if not isinstance(upgraded, dict):
            raise self._refused("$", f"the upgrade from version {version} must return a dict, got {upgraded!r}")
        return encode_json(upgraded, "arguments", self._name)

    def _refused(self, path: str, reason: str) -> PayloadError:
        return PayloadError("arguments", path, reason, name=self._name)


def signature_hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """Return the types in a function's signature.

    Raises:
        ConfigurationError: one of them is not known at run time.
    """
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as exc:
        raise _unknown(name, exc) from exc


def _unknown(name: str, exc: NameError) -> ConfigurationError:
    return ConfigurationError(
        f"a type in the signature of handler {name!r} is not known at run time: {exc}; "
        "import it outside TYPE_CHECKING, and define it at module level"
    )


def _refuse_variable(parameters: Sequence[inspect.Parameter], name: str) -> None:
    for parameter in parameters:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise ConfigurationError(
                f"handler {name!r} takes {parameter}, which cannot be checked when a job is added; name its parameters"
            )


def _decoder(
    parameters: Sequence[inspect.Parameter], hints: Mapping[str, Any], name: str, *, forbid_unknown: bool
) -> Callable[[bytes], Any]:
    reader = TypeReader()
    fields = [_field(parameter, hints.get(parameter.name, Any), reader, name) for parameter in parameters]
    model = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=forbid_unknown)
    return msgspec.json.Decoder(model, dec_hook=reader.read).decode


def _field(parameter: inspect.Parameter, hint: Any, reader: TypeReader, name: str) -> Any:
    try:
        type_ = reader.readable(hint)
    except (TypeError, ValueError) as exc:
        shown = f"{parameter.name}: {inspect.formatannotation(hint)}"
        raise ConfigurationError(f"handler {name!r} takes {shown}, which cannot be sent as JSON: {exc}") from exc
    except NameError as exc:
        raise _unknown(name, exc) from exc
    if parameter.default is parameter.empty:
        return (parameter.name, type_)
    default = parameter.default
    return (parameter.name, type_, msgspec.field(default_factory=lambda: default))
