"""Options of strategies: attrs classes, filled from the environment and pyproject.toml."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args, get_origin, get_type_hints

import attrs

from conveyor._services.settings import find_strategy_table
from conveyor.errors import ConfigurationError, did_you_mean
from conveyor.model.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["VARIABLES", "StrategySettings", "read_options", "variable"]

T = TypeVar("T")

# What the names of all variables of strategies begin with.
VARIABLES: Final = "CONVEYOR_STRATEGIES_"
_TRUTHS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class StrategySettings:
    """The `Settings` that an app lends to its strategies.

    Attributes:
        read_names: the names of those whose options were read, or may not be there.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        """Read for these strategies, and for others."""
        self._names = names
        self.read_names: set[str] = set()

    def read(self, name: str, options: type[T], /) -> T:
        """Return the options of the strategy of this name; see `Settings.read`."""
        self.read_names.add(name)
        return read_options(name, options, self._names)

    def refuse(self, name: str, why: str) -> None:
        """Refuse the table and the variables of a strategy that takes no options from there.

        Raises:
            ConfigurationError: there are some.
        """
        self.read_names.add(name)
        for key, source in _found(name, self._names)[1].items():
            raise ConfigurationError(f"strategy {name!r} has no option {key!r} ({source}): {why}")


def read_options(name: str, options: type[T], others: Collection[str] = ()) -> T:
    """Fill the options of a strategy: from the environment, else pyproject.toml, else their defaults.

    Args:
        name: the strategy's; a field is ``CONVEYOR_STRATEGIES_NAME_FIELD``, or ``field`` in
            ``[tool.conveyor.strategies.name]``.
        options: an attrs class.
        others: names of strategies, whose variables may begin like those of this one.

    Raises:
        ConfigurationError: a key is unknown, a value does not fit, or one that is needed is missing.
    """
    fields = _fields(name, options)
    values, sources = _gather(name, tuple(fields), others)
    for key, field in fields.items():
        if key not in values and field.default is attrs.NOTHING:
            raise ConfigurationError(f"strategy {name!r} needs {key}: set {variable(name, key)}")
    hints = get_type_hints(options)
    parsed = {key: _parse(value, hints[fields[key].name], f"{key} ({sources[key]})") for key, value in values.items()}
    try:
        return options(**parsed)
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(f"options of strategy {name!r}: {exc}") from exc


def _fields(name: str, options: type[Any]) -> dict[str, attrs.Attribute[Any]]:
    if not attrs.has(options):
        raise ConfigurationError(f"options of strategy {name!r} must be an attrs class, got {options!r}")
    return {field.alias or field.name: field for field in attrs.fields(options) if field.init}


def _gather(name: str, known: tuple[str, ...], others: Collection[str]) -> tuple[dict[str, object], dict[str, str]]:
    values, sources = _found(name, others)
    for key in values:
        if key not in known:
            raise ConfigurationError(
                f"strategy {name!r} has no option {key!r} ({sources[key]}): {did_you_mean(key, known)}"
            )
    return values, sources


def _found(name: str, others: Collection[str]) -> tuple[dict[str, object], dict[str, str]]:
    """Return what is set for a strategy by each key, and where."""
    table, path = find_strategy_table(name)
    values: dict[str, object] = dict(table)
    sources = dict.fromkeys(values, f"[tool.conveyor.strategies.{name}] of {path}")
    prefix = variable(name, "")
    # Those of "mirror-two" begin like those of "mirror".
    longer = tuple(begin for other in others if (begin := variable(other, "")).startswith(prefix) and begin != prefix)
    for found, text in sorted(os.environ.items()):
        if found.startswith(prefix) and not found.startswith(longer):
            key = found.removeprefix(prefix).lower()
            values[key], sources[key] = text, found
    return values, sources


def variable(name: str, key: str) -> str:
    """Return the name of the variable for one option of a strategy."""
    return f"{VARIABLES}{name.upper().replace('-', '_')}_{key.upper()}"


def _parse(value: object, hint: Any, what: str) -> object:
    """Turn a value of TOML, or the text of a variable, into what the field is annotated with."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    if get_origin(hint) is tuple:
        return tuple(value.split(",")) if isinstance(value, str) else tuple(_items(value, what))
    kind = kinds[0] if len(kinds) == 1 else hint
    if kind is timedelta:
        return parse_duration(_duration(value, what), field=what)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind not in (str, int, float, bool) or type(value) is kind:
        return value
    if isinstance(value, str):
        return _parse_text(value, kind, what)
    raise ConfigurationError(f"{what} must be of type {kind.__name__}, got {value!r}")


def _parse_text(text: str, kind: type, what: str) -> object:
    try:
        return _TRUTHS[text.lower()] if kind is bool else kind(text)
    except (KeyError, ValueError):
        raise ConfigurationError(f"{what} must be of type {kind.__name__}, got {text!r}") from None


def _duration(value: object, what: str) -> str | float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ConfigurationError(f"{what} must be a duration, got {value!r}")
    return value


def _items(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise ConfigurationError(f"{what} must be a list, got {value!r}")
    return value
