"""``conveyor plugins``: list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App

from conveyor._cli.output import show_records
from conveyor._cli.parameters import OutputOptions, flattened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._plugins import FoundPlugin, Plugins

__all__ = ["plugins"]

_DEFAULTS: Final = OutputOptions()

plugins: Final = App(name="plugins", help="See which plugins are installed and what they offer.")


@plugins.command(name="list")
def list_(*, options: Annotated[OutputOptions, flattened] = _DEFAULTS) -> int:
    """List plugins: where they come from, what they offer, and why a broken one is broken."""
    from conveyor._plugins import Plugins

    installed = Plugins()
    # Asked first: a plugin may load well and break when it is asked what it offers.
    offers = _offers(installed)
    records = [_to_json(plugin, offers.get(plugin.name, [])) for plugin in installed.found]
    show_records(records, options.output, ("plugin", "distribution", "version", "offers"), _row)
    return 0


def _offers(installed: Plugins) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    by_plugin: dict[str, list[Mapping[str, Any]]] = {}
    for store in installed.stores:
        offer = {"kind": "store", "name": store.provider.name, "schemes": list(store.provider.schemes)}
        by_plugin.setdefault(store.plugin.name, []).append(offer)
    for queue in installed.job_queues:
        by_plugin.setdefault(queue.plugin.name, []).append({"kind": "job queue", "name": queue.provider.name})
    return by_plugin


def _to_json(plugin: FoundPlugin, offers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    error = plugin.error
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.module,
        "offers": list(offers),
        "error": None if error is None else f"{type(error).__name__}: {error}",
    }


def _row(plugin: Mapping[str, Any]) -> Sequence[object]:
    offers = "; ".join(_offer_line(offer) for offer in plugin["offers"])
    broken = "" if plugin["error"] is None else f"BROKEN: {plugin['error']}"
    return plugin["name"], plugin["distribution"], plugin["version"], " ".join(filter(None, (offers, broken)))


def _offer_line(offer: Mapping[str, Any]) -> str:
    schemes = ", ".join(f"{scheme}://" for scheme in offer.get("schemes", ()))
    return f"{offer['kind']} {offer['name']}" + (f" ({schemes})" if schemes else "")
