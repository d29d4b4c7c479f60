"""``conveyor config``: which settings hold, and where each comes from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App

from conveyor._cli.output import show_records
from conveyor._cli.parameters import StoreOptions, flattened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from conveyor._services.settings import Setting

__all__ = ["config"]

_DEFAULTS: Final = StoreOptions()

config: Final = App(name="config", help="See which settings hold, and where each comes from.")


@config.command(help_epilogue="Example:\n  CONVEYOR_STORE=memory:// conveyor config show -o json")
def show(*, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Show each setting with its value and its source; passwords are not shown. Opens nothing.

    Exits with 2 if the app that is meant cannot be loaded.
    """
    records = [_to_json(name, setting) for name, setting in _settings(options)]
    show_records(records, options.output, ("setting", "value", "source"), _row)
    return 0


def _settings(options: StoreOptions) -> Iterator[tuple[str, Setting | None]]:
    from conveyor._services.settings import Setting, find_active_queues, find_masked_fields, find_names, find_setting

    yield "app", find_setting("app", argument=options.app)
    yield "store", _store(options)
    for name in ("allow", "block"):
        names = find_names(name)
        yield f"plugins.{name}", None if names is None else Setting(_joined(names[0]), names[1])
    fields = find_masked_fields()
    yield "masked_fields", None if fields is None else Setting(_joined(fields[0]), fields[1])
    active = find_active_queues()
    yield "active_queues", None if active is None else Setting(_joined(active[0]), active[1])
    traceback = os.environ.get("CONVEYOR_TRACEBACK")
    yield "traceback", Setting(traceback, "CONVEYOR_TRACEBACK") if traceback else Setting("no", "default")


def _store(options: StoreOptions) -> Setting | None:
    """Return the store that commands work on, and who says so: what is typed, the app's code, or a setting."""
    from conveyor._cli.discovery import find_operated_app
    from conveyor._services.settings import DEFAULT_STORE, Setting, find_setting

    if options.store is not None:
        return Setting(options.store, "argument")
    given = find_operated_app(options)._given.store  # noqa: SLF001 - what the code says is nobody's else
    if given is None:
        return find_setting("store", default=DEFAULT_STORE)
    return Setting(given if isinstance(given, str) else given.name, "the app")


def _joined(names: object) -> str:
    return ", ".join(map(str, names)) if isinstance(names, list) else str(names)


def _to_json(name: str, setting: Setting | None) -> dict[str, Any]:
    from conveyor.model.masking import masked_url

    if setting is None:
        return {"name": name, "value": None, "source": "not set"}
    return {
        "name": name,
        "value": masked_url(setting.value) if name == "store" else setting.value,
        "source": setting.source,
    }


def _row(setting: Mapping[str, Any]) -> tuple[str, str, str]:
    return setting["name"], "-" if setting["value"] is None else setting["value"], setting["source"]
