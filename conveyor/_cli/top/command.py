"""``conveyor top``: once where nobody looks, again and again at a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from conveyor._cli.output import show_record, write, write_table
from conveyor._cli.parameters import StoreOptions, flattened

if TYPE_CHECKING:
    from conveyor._app import Conveyor

__all__ = ["top"]

_DEFAULTS: Final = StoreOptions()


def top(
    *,
    window: Annotated[str, Parameter(help="How far back runs are counted, such as 5m.")] = "5m",
    every: Annotated[str, Parameter(help="How often to look, at a terminal.")] = "2s",
    once: Annotated[
        bool, Parameter(name="--once", negative="", show_default=False, help="Print once, at a terminal, too.")
    ] = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Show queues, runs and workers: live at a terminal until Ctrl-C, once elsewhere and as JSON."""
    import anyio

    from conveyor._cli.discovery import find_operated_app
    from conveyor.errors import ConfigurationError
    from conveyor.model.durations import parse_duration

    interval = parse_duration(every, field="--every")
    if not interval:
        raise ConfigurationError("--every must be longer than zero")
    if not parse_duration(window, field="--window"):
        raise ConfigurationError("--window must be longer than zero")
    app = find_operated_app(options)
    if options.output == "table" and sys.stdout.isatty() and not once:
        anyio.run(_show_live, app, window, interval.total_seconds())
        return 0
    record = anyio.run(_look_once, app, window)
    if options.output == "table":
        _print(record)
    else:
        show_record(record, options.output)
    return 0


async def _look_once(app: Conveyor, window: str) -> dict[str, Any]:
    from conveyor._cli.opening import looking_only
    from conveyor._cli.top.looking import look

    async with looking_only(app):
        return await look(app, window)


async def _show_live(app: Conveyor, window: str, interval_seconds: float) -> None:
    import anyio
    from rich.console import Console
    from rich.live import Live

    from conveyor._cli.opening import looking_only
    from conveyor._cli.top.looking import look
    from conveyor._cli.top.screen import screen

    # What stood on the terminal before is there again at the end.
    console = Console()
    with Live(console=console, auto_refresh=False, screen=True) as live:
        async with looking_only(app):
            while True:
                live.update(screen(await look(app, window), console.width), refresh=True)
                await anyio.sleep(interval_seconds)


def _print(record: dict[str, Any]) -> None:
    from conveyor._cli.top.screen import headline, tables

    write(headline(record))
    for titles, rows in tables(record):
        write("")
        write_table(titles, rows)
