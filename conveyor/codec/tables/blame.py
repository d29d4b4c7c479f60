"""Which fields of a class refused their values: attrs raises what one of them raised, and does not say which it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["find_faults", "find_other_faults"]

# The name of a field, None: the class as a whole; and a message for people.
_Fault: TypeAlias = tuple[str | None, str]

# attrs types it as a function.
_FACTORY: Final[type] = attrs.Factory  # type: ignore[assignment] # it is the class


class _Raised(NamedTuple):
    field: str
    error: Exception


def find_faults(row_class: type[Any], given: Mapping[str, Any], exc: Exception) -> list[_Fault]:
    """Return every field that refuses its value, and why; or that it was the class as a whole.

    Args:
        row_class: a class of attrs.
        given: what its ``__init__`` was given.
        exc: what it raised.
    """
    raised = list(_try_fields(row_class, given))
    # The validators of attrs put the field among the arguments.
    named = next((arg.name for arg in exc.args if isinstance(arg, attrs.Attribute)), None)
    if not any(one.field == named or _is_same(one.error, exc) for one in raised):
        # Tried by itself, no field raises that; so what others do then is no sign of anything.
        return [(named, _tell(exc))]
    return [(one.field, _tell(one.error)) for one in raised]


def find_other_faults(row_class: type[Any], given: Mapping[str, Any]) -> list[_Fault]:
    """Return every field that refuses its value, and why, where other fields have none that could be given."""
    return [(one.field, _tell(one.error)) for one in _try_fields(row_class, given)]


def _try_fields(row_class: type[Any], given: Mapping[str, Any]) -> Iterator[_Raised]:
    """Convert and validate field by field, on an instance that is never seen; yield what they raise."""
    instance: Any = object.__new__(row_class)
    values: list[tuple[attrs.Attribute[Any], Any]] = []
    for field in attrs.fields(row_class):
        value = given.get(field.alias or field.name, field.default)
        # A converter that takes more than the value cannot be asked apart from its class; a factory may have effects.
        if value is attrs.NOTHING or isinstance(value, _FACTORY) or isinstance(field.converter, attrs.Converter):
            continue
        if field.converter is not None:
            try:
                value = field.converter(value)
            except Exception as exc:  # noqa: BLE001 - whatever a converter raises
                yield _Raised(field.name, exc)
                continue
        object.__setattr__(instance, field.name, value)
        values.append((field, value))
    is_whole = len(values) == len(attrs.fields(row_class))
    for raised in _validate(instance, values):
        # A validator that looks at another field finds nothing there, where that has no value yet.
        if is_whole or not isinstance(raised.error, AttributeError):
            yield raised


def _validate(instance: Any, values: Sequence[tuple[attrs.Attribute[Any], Any]]) -> Iterator[_Raised]:
    for field, value in values:
        if field.validator is not None:
            try:
                field.validator(instance, field, value)
            except Exception as exc:  # noqa: BLE001 - whatever a validator raises
                yield _Raised(field.name, exc)


def _is_same(raised: Exception, exc: Exception) -> bool:
    return type(raised) is type(exc) and str(raised) == str(exc)


def _tell(exc: Exception) -> str:
    told = exc.args[0] if exc.args and isinstance(exc.args[0], str) else str(exc)
    if isinstance(exc, ValueError):
        return told or "the value is refused"
    return f"{type(exc).__name__}: {told}"
