"""Plugins as records: what the metadata says, and, where they were imported, what they offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conveyor._cli.failures import CommandError, ExitCode
from conveyor.contracts.capabilities import CONTRACT_VERSION, OLDEST_CONTRACT_VERSION
from conveyor.contracts.providers import JobQueueProvider, StoreProvider
from conveyor.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._plugins import FoundPlugin, LoadedPlugin, Plugins
    from conveyor._plugins.loading import AnyOffer

__all__ = ["find_named", "full_view", "list_row", "loaded_view", "namesakes", "plain_view"]


def find_named(installed: Plugins, name: str) -> Sequence[FoundPlugin]:
    """Return the plugins of this name, or those of the distribution of this name.

    Raises:
        CommandError: there are none, with exit code 3.
    """
    of_name = [plugin for plugin in installed.found if plugin.name == name]
    found = of_name or [plugin for plugin in installed.found if plugin.distribution == name]
    if not found:
        known = {word for plugin in installed.found for word in (plugin.name, plugin.distribution)}
        what = f"no plugin {name!r} is installed: {did_you_mean(name, known)}"
        raise CommandError(ExitCode.NOT_FOUND, what, "see which there are: conveyor plugins list")
    return found


def namesakes(installed: Plugins, plugin: FoundPlugin) -> Sequence[FoundPlugin]:
    """Return the other plugins of this name that may be used, and come from elsewhere."""
    return [other for other in installed.allowed if other.name == plugin.name and other.origin != plugin.origin]


def plain_view(installed: Plugins, plugin: FoundPlugin) -> dict[str, Any]:
    """Return what is known of a plugin without importing it."""
    refusal = installed.rules.refusal(plugin)
    others = [] if refusal is not None else namesakes(installed, plugin)
    status, reason = "allowed", refusal
    if refusal is not None:
        status = "blocked"
    elif others:
        status = "clash"
        reason = f"{', '.join(repr(other.distribution) for other in others)} has a plugin of this name, too"
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "entry_point": plugin.target,
        "status": status,
        "reason": reason,
        "offers": None,
    }


def loaded_view(installed: Plugins, plugin: FoundPlugin) -> dict[str, Any]:
    """Return what is known of a plugin, imported where it may be."""
    record = plain_view(installed, plugin)
    if record["status"] == "blocked":
        return record
    loaded = installed.load(plugin)
    record["offers"] = [_offer_to_json(offer) for offer in loaded.offers]
    fault = _fault(loaded)
    if fault is not None:
        record["status"], record["reason"] = fault
    elif record["status"] == "allowed":
        record["status"] = "ok"
    return record


def full_view(installed: Plugins, plugin: FoundPlugin) -> dict[str, Any]:
    """Return all that is known of a plugin, imported where it may be."""
    record = loaded_view(installed, plugin)
    loaded = installed.load(plugin) if record["status"] != "blocked" else None
    return record | {
        "file": None if loaded is None else loaded.file,
        "requires": list(plugin.requires),
        "hooks": None if loaded is None else list(loaded.hooks),
        "unknown_hooks": None if loaded is None else list(loaded.unknown_hooks),
        "contract_versions": list(range(OLDEST_CONTRACT_VERSION, CONTRACT_VERSION + 1)),
    }


def list_row(record: Mapping[str, Any]) -> Sequence[object]:
    """Return the cells of a plugin in the list."""
    status = record["status"] if record["reason"] is None else f"{record['status']}: {record['reason']}"
    cells = (record["name"], record["distribution"], record["version"], record["entry_point"], status)
    offers = record["offers"]
    return cells if offers is None else (*cells, "; ".join(_offer_line(offer) for offer in offers))


def _fault(loaded: LoadedPlugin) -> tuple[str, str] | None:
    if loaded.failure is not None:
        return "broken", loaded.failure.reason.removeprefix("it is broken: ")
    misfit = next((offer.misfit for offer in loaded.offers if offer.misfit is not None), None)
    return None if misfit is None else ("incompatible", misfit.reason)


def _offer_to_json(offer: AnyOffer) -> dict[str, Any]:
    record: dict[str, Any] = {"kind": offer.kind, "name": offer.provider.name}
    if isinstance(offer.provider, (StoreProvider, JobQueueProvider)) and offer.provider.schemes:
        record["schemes"] = list(offer.provider.schemes)
    return record | {"contract_version": offer.provider.contract_version}


def _offer_line(offer: Mapping[str, Any]) -> str:
    schemes = ", ".join(f"{scheme}://" for scheme in offer.get("schemes", ()))
    return f"{offer['kind']} {offer['name']}" + (f" ({schemes})" if schemes else "")
