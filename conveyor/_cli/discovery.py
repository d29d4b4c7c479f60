"""Finding the app: from ``module:attr`` given as an option, in the environment or in pyproject.toml."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conveyor._services.settings import find_setting
from conveyor.errors import ConfigurationError, did_you_mean

if TYPE_CHECKING:
    from types import ModuleType

    from conveyor._app import Conveyor
    from conveyor._cli.parameters import WhereOptions

__all__ = ["find_app", "find_operated_app", "load_app", "operated_app"]

_HOW = "name the app with --app module:attr, CONVEYOR_APP, or [tool.conveyor] app in pyproject.toml"


def find_app(reference: str | None, store: str | None = None) -> Conveyor:
    """Return the app that is configured, over another store if one is given.

    Raises:
        ConfigurationError: none is configured, or it cannot be loaded; the message says what to do.
    """
    setting = find_setting("app", argument=reference)
    if setting is None:
        raise ConfigurationError(f"no app is named: {_HOW}")
    return _over(load_app(setting.value), store)


def find_operated_app(options: WhereOptions) -> Conveyor:
    """Return what an operator's command works on: an app, or only a store where no app is meant.

    Options come before the environment, and that before pyproject.toml; an app comes before a store.

    Raises:
        ConfigurationError: the app that is meant cannot be loaded.
    """
    from conveyor._app import Conveyor

    if options.app is not None:
        return find_app(options.app, options.store)
    if options.store is not None:
        return Conveyor(options.store)
    app, store = find_setting("app"), find_setting("store")
    if app is None or (store is not None and _is_variable(store.source) and not _is_variable(app.source)):
        return Conveyor()
    return load_app(app.value)


def operated_app(*, app: str | None = None, store: str | None = None) -> Conveyor:
    """Return what a command of a plugin works on, as the commands in the box find it; opening it changes no store.

    Args:
        app: what was typed as ``--app``, ``module:attr``.
        store: what was typed as ``--store``, a URL.

    Raises:
        ConfigurationError: the app that is meant cannot be loaded.
    """
    from conveyor._cli.opening import looking_only
    from conveyor._cli.parameters import WhereOptions

    return looking_only(find_operated_app(WhereOptions(app=app, store=store)))


def load_app(reference: str) -> Conveyor:
    """Import ``module:attr`` and return the app it names; the working directory is looked at first.

    Raises:
        ConfigurationError: there is no such module or attribute, importing it fails, or it is no Conveyor.
    """
    module_name, separator, attribute = reference.partition(":")
    if not separator or not module_name or not attribute:
        raise ConfigurationError(f"{reference!r} does not name an app: write module:attr, such as hello:app")
    if "/" in module_name or module_name.startswith(".") or module_name.endswith(".py"):
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise ConfigurationError(f"{module_name!r} is a path, not the name of a module: write {dotted}:{attribute}")
    module = _import(module_name)
    return _pick(module, attribute)


def _import(name: str) -> ModuleType:
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as exc:
        if exc.name is not None and (name == exc.name or name.startswith(f"{exc.name}.")):
            raise ConfigurationError(f"no module {name!r} in {folder} or installed: {_near(name, folder)}") from exc
        raise ConfigurationError(f"importing {name!r} failed: {exc} (see where: --verbose)") from exc
    except Exception as exc:  # whatever a user's module may raise
        raise ConfigurationError(
            f"importing {name!r} failed: {type(exc).__name__}: {exc} (see where: --verbose)"
        ) from exc


def _near(name: str, folder: str) -> str:
    here = {path.stem for path in Path(folder).glob("*.py")}
    here |= {path.parent.name for path in Path(folder).glob("*/__init__.py")}
    return did_you_mean(name, {found for found in here if found.isidentifier()})


def _pick(module: ModuleType, attribute: str) -> Conveyor:
    from conveyor._app import Conveyor

    apps = [name for name, value in vars(module).items() if isinstance(value, Conveyor)]
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ConfigurationError(f"module {module.__name__!r} has no {attribute!r}: {_apps_in(module, apps)}")
        found = getattr(found, part)
    if not isinstance(found, Conveyor):
        kind = type(found).__name__
        raise ConfigurationError(f"{module.__name__}:{attribute} is a {kind}, not a Conveyor: {_apps_in(module, apps)}")
    return found


def _apps_in(module: ModuleType, apps: list[str]) -> str:
    if not apps:
        return f"the module holds no Conveyor; write app = Conveyor() in it, and name {module.__name__}:app"
    return f"did you mean {' or '.join(f'{module.__name__}:{name}' for name in apps)}?"


def _over(app: Conveyor, store: str | None) -> Conveyor:
    if store is not None:
        app._given.store = store  # noqa: SLF001 - what the person typed now comes before what the code says
    return app


def _is_variable(source: str) -> bool:
    return source.startswith("CONVEYOR_")
