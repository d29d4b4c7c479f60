"""``conveyor shell``: a Python prompt with the app open."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from conveyor._cli.parameters import Backend, WhereOptions, flattened

if TYPE_CHECKING:
    from conveyor._app import Conveyor

__all__ = ["shell"]

_DEFAULTS: Final = WhereOptions()


def shell(
    *,
    code: Annotated[
        str | None, Parameter(name=("--code", "-c"), help="Run this and exit, instead of asking for input.")
    ] = None,
    backend: Annotated[Backend, Parameter(help="The event loop.")] = "asyncio",
    options: Annotated[WhereOptions, flattened] = _DEFAULTS,
) -> int:
    """Ask for Python with the app open, and await at the prompt.

    There are `app`, `jobs` (what app.jobs is), `queues` (by name) and each handler by its name.

    Without a terminal it runs what comes on stdin. It exits with 1 if that, or --code, raises.
    """
    from anyio.from_thread import start_blocking_portal

    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only
    from conveyor._cli.prompt import AwaitingConsole

    app = looking_only(find_operated_app(options))
    # The loop runs in a thread and the prompt here, where Ctrl+C arrives.
    with start_blocking_portal(backend) as portal, portal.wrap_async_context_manager(app):
        console = AwaitingConsole(portal, _names(app))
        if code is not None:
            return console.run(code, "<-c>")
        if not sys.stdin.isatty():
            return console.run(sys.stdin.read(), "<stdin>")
        console.ask(_greeting(app))
    return 0


def _names(app: Conveyor) -> dict[str, Any]:
    from conveyor._cli.opening import services_of

    queues = {name: app.queue(name) for name in services_of(app).handlers.queue_names()}
    return _handlers(app) | {"app": app, "jobs": app.jobs, "queues": queues}


def _handlers(app: Conveyor) -> dict[str, Any]:
    """Return the app's handlers under the names that they have in their modules."""
    from conveyor._cli.opening import services_of
    from conveyor._handles.handler import JobHandler

    services = services_of(app)
    return {
        name: value
        for module in list(sys.modules.values())
        for name, value in list(vars(module).items())
        if isinstance(value, JobHandler) and value._services is services  # noqa: SLF001 - a handler shows no app
    }


def _greeting(app: Conveyor) -> str:
    from conveyor import __version__
    from conveyor._cli.opening import services_of

    names = ", ".join(sorted(_names(app)))
    return (
        f"conveyor {__version__} on {services_of(app).store.name}; await works here\n"
        f"names: {names}\n"
        "try:   await jobs.count()"
    )
