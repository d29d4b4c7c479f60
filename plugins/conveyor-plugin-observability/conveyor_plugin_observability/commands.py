"""``conveyor metrics``: print what Prometheus would read, or let it read."""

from __future__ import annotations

import sys
from typing import Annotated, Final

from cyclopts import App, Parameter

__all__ = ["metrics"]

metrics: Final = App(name="metrics", help="Let Prometheus read the numbers of a store.")

StoreUrl = Annotated[str | None, Parameter(help="URL of the store, where it is not the app's own.")]
AppReference = Annotated[str | None, Parameter(help="Where the app is, as module:attr.")]


@metrics.command(name="print")
def print_(*, store: StoreUrl = None, app: AppReference = None) -> int:
    """Print the numbers of a store in Prometheus' text format."""
    import anyio

    from conveyor import operated_app
    from conveyor_plugin_observability.prometheus import metrics_text

    async def read() -> str:
        async with operated_app(app=app, store=store) as opened:
            return await metrics_text(opened)

    sys.stdout.write(anyio.run(read))
    return 0


@metrics.command
def serve(
    *,
    host: Annotated[str, Parameter(help="Address to listen on; 0.0.0.0 for every one of this machine.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; 0 for any that is free.")] = 9464,
    store: StoreUrl = None,
    app: AppReference = None,
) -> int:
    """Answer at /metrics until SIGINT or SIGTERM. One such process tells of all that work on the store."""
    import anyio

    from conveyor import operated_app
    from conveyor_plugin_observability.serving import serve_until_signalled

    def told(url: str) -> None:
        print(f"metrics are at {url}", file=sys.stderr, flush=True)  # noqa: T201 - a command speaks

    anyio.run(serve_until_signalled, operated_app(app=app, store=store), host, port, told)
    return 0
