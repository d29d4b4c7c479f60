"""Where settings come from: argument, environment, pyproject.toml, default, in this order."""

from __future__ import annotations

import os
import tomllib
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from conveyor.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "DEFAULT_STORE",
    "Setting",
    "find_active_queues",
    "find_masked_fields",
    "find_names",
    "find_setting",
    "find_strategy_table",
    "find_strategy_tables",
]

DEFAULT_STORE: Final = "sqlite:///conveyor.db"


# What [tool.conveyor] may hold.
_KNOWN: Final = ("active_queues", "app", "masked_fields", "plugins", "store", "strategies")


@frozen
class Setting:
    """A value, and where it was found."""

    value: str
    source: str


def find_setting(name: str, *, argument: str | None = None, default: str | None = None) -> Setting | None:
    """Return a setting: the argument, else ``CONVEYOR_NAME``, else ``[tool.conveyor] name``, else the default.

    Raises:
        ConfigurationError: pyproject.toml cannot be read, or the value there is no string.
    """
    variable = f"CONVEYOR_{name.upper()}"
    if argument is not None:
        return Setting(argument, "argument")
    if value := os.environ.get(variable):
        return Setting(value, variable)
    path, table = _find_table(Path.cwd())
    if name in table:
        found = table[name]
        if not isinstance(found, str):
            raise ConfigurationError(f"[tool.conveyor] {name} in {path} must be a string, got {found!r}")
        return Setting(found, str(path))
    return None if default is None else Setting(default, "default")


def find_names(name: str) -> tuple[object, str] | None:
    """Return a list of names and where it was found: ``CONVEYOR_PLUGINS_NAME``, parted by commas, else
    ``[tool.conveyor.plugins] name``, which the caller checks.

    Raises:
        ConfigurationError: pyproject.toml cannot be read, or has no table there.
    """
    variable = f"CONVEYOR_PLUGINS_{name.upper()}"
    if value := os.environ.get(variable):
        return _parted(value), variable
    path, table = _find_table(Path.cwd())
    plugins = table.get("plugins", {})
    if not isinstance(plugins, dict):
        raise ConfigurationError(f"[tool.conveyor.plugins] in {path} must be a table")
    return (plugins[name], f"{name} in [tool.conveyor.plugins] of {path}") if name in plugins else None


def find_masked_fields() -> tuple[object, str] | None:
    """Return the names of masked fields and where they were found: ``CONVEYOR_MASKED_FIELDS``, parted by commas, else
    ``[tool.conveyor] masked_fields``, which the caller checks.

    Raises:
        ConfigurationError: pyproject.toml cannot be read.
    """
    if value := os.environ.get("CONVEYOR_MASKED_FIELDS"):
        return _parted(value), "CONVEYOR_MASKED_FIELDS"
    path, table = _find_table(Path.cwd())
    return (table["masked_fields"], f"masked_fields of {path}") if "masked_fields" in table else None


def find_active_queues() -> tuple[Sequence[str], str] | None:
    """Return the names of the active queues and where they were found: ``CONVEYOR_ACTIVE_QUEUES``, parted by commas,
    else ``[tool.conveyor] active_queues``.

    Raises:
        ConfigurationError: pyproject.toml cannot be read, or says something else there.
    """
    if value := os.environ.get("CONVEYOR_ACTIVE_QUEUES"):
        return _parted(value), "CONVEYOR_ACTIVE_QUEUES"
    path, table = _find_table(Path.cwd())
    if "active_queues" not in table:
        return None
    names = table["active_queues"]
    if not isinstance(names, list):
        raise ConfigurationError(f"[tool.conveyor] active_queues in {path} must be a list, got {names!r}")
    return names, f"active_queues of {path}"


def find_strategy_table(name: str) -> tuple[Mapping[str, object], Path]:
    """Return ``[tool.conveyor.strategies.NAME]``, empty where there is none, and the file it is in.

    Raises:
        ConfigurationError: pyproject.toml cannot be read, or has no table there.
    """
    strategies, path = find_strategy_tables()
    found = strategies.get(name, {})
    if not isinstance(found, dict):
        raise ConfigurationError(f"[tool.conveyor.strategies.{name}] in {path} must be a table")
    return found, path


def find_strategy_tables() -> tuple[Mapping[str, object], Path]:
    """Return ``[tool.conveyor.strategies]``, empty where it is not there, and the file it is in.

    Raises:
        ConfigurationError: pyproject.toml cannot be read, or has no table there.
    """
    path, table = _find_table(Path.cwd())
    strategies = table.get("strategies", {})
    if not isinstance(strategies, dict):
        raise ConfigurationError(f"[tool.conveyor.strategies] in {path} must be a table")
    return strategies, path


def _parted(value: str) -> list[str]:
    return [word for word in map(str.strip, value.split(",")) if word]


def _find_table(folder: Path) -> tuple[Path, Mapping[str, object]]:
    """Return ``[tool.conveyor]`` of the nearest pyproject.toml, in this folder or above."""
    for candidate in (folder, *folder.parents):
        path = candidate / "pyproject.toml"
        if path.is_file():
            return path, _read_table(path)
    return folder / "pyproject.toml", {}


def _read_table(path: Path) -> Mapping[str, object]:
    try:
        document = _parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{path} cannot be read: {exc}") from exc
    table = document.get("tool", {}).get("conveyor", {})
    if not isinstance(table, dict):
        raise ConfigurationError(f"[tool.conveyor] in {path} must be a table")
    for name in table:
        if name not in _KNOWN:
            raise ConfigurationError(f"[tool.conveyor] in {path} has no setting {name!r}: {did_you_mean(name, _KNOWN)}")
    return deepcopy(table)  # not that of the cache: whom it is given to may change it


@lru_cache(maxsize=1)
def _parse(text: str) -> Mapping[str, Any]:
    """Parse a file; it is asked for one setting after another, and parsing costs a hundred times what reading does."""
    return tomllib.loads(text)
