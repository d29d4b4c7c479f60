"""Finds plugins without importing them, imports those that are needed, and resolves names and URL schemes."""

from __future__ import annotations

from conveyor._plugins.choosing import Choice, Look
from conveyor._plugins.found import FoundPlugin
from conveyor._plugins.loading import LoadedPlugin, Offer
from conveyor._plugins.registry import Plugins
from conveyor._plugins.rules import NameList, Rules

__all__ = ["Choice", "FoundPlugin", "LoadedPlugin", "Look", "NameList", "Offer", "Plugins", "Rules"]
