"""Which field of a class refused its value: attrs raises what a converter or validator raised, and does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["find_fault"]


def find_fault(row_class: type[Any], given: Mapping[str, Any], exc: Exception) -> tuple[str | None, str]:
    """Return the name of the field that raised, None where it was the class as a whole, and a message for people.

    Args:
        row_class: a class of attrs.
        given: what its ``__init__`` was given.
        exc: what it raised.
    """
    # The validators of attrs put the field among the arguments.
    named = next((arg.name for arg in exc.args if isinstance(arg, attrs.Attribute)), None)
    return named or _find_by_trying(row_class, given, exc), _tell(exc)


def _find_by_trying(row_class: type[Any], given: Mapping[str, Any], exc: Exception) -> str | None:
    """Convert and validate field by field, on an instance that is never seen, until one raises the same again."""
    instance: Any = object.__new__(row_class)
    values: list[tuple[attrs.Attribute[Any], Any]] = []
    for field in attrs.fields(row_class):
        name = field.alias or field.name
        if name not in given:
            continue
        value = given[name]
        # One that takes more than the value cannot be asked apart from its class.
        if field.converter is not None and not isinstance(field.converter, attrs.Converter):
            try:
                value = field.converter(value)
            except Exception as raised:  # noqa: BLE001 - compared with what the class raised
                return field.name if _is_same(raised, exc) else None
        object.__setattr__(instance, field.name, value)
        values.append((field, value))
    for field, value in values:
        if field.validator is None:
            continue
        try:
            field.validator(instance, field, value)
        except Exception as raised:  # noqa: BLE001 - as above
            return field.name if _is_same(raised, exc) else None
    return None


def _is_same(raised: Exception, exc: Exception) -> bool:
    return type(raised) is type(exc) and str(raised) == str(exc)


def _tell(exc: Exception) -> str:
    told = exc.args[0] if exc.args and isinstance(exc.args[0], str) else str(exc)
    if isinstance(exc, ValueError):
        return told or "the value is refused"
    return f"{type(exc).__name__}: {told}"
