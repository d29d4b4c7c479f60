"""The rules that the environment and pyproject.toml set for plugins."""

from __future__ import annotations

from conveyor._plugins import NameList, Plugins, Rules
from conveyor._services.settings import find_names

__all__ = ["installed_plugins", "read_plugin_rules"]


def read_plugin_rules() -> Rules:
    """Return which plugins the settings allow and block.

    Raises:
        ConfigurationError: a setting is no list of names, or pyproject.toml cannot be read.
    """
    return Rules(_read("allow"), _read("block"))


def installed_plugins() -> Plugins:
    """Return the plugins of this environment, under the rules of its settings."""
    return Plugins().configured_by(read_plugin_rules)


def _read(name: str) -> NameList | None:
    setting = find_names(name)
    return None if setting is None else NameList.parse(*setting)
