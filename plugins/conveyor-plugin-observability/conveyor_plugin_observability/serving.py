"""Metrics over HTTP: an ASGI app for a program that has a server, and a server for one that has none."""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import asynccontextmanager
from functools import partial
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import anyio
import anyio.from_thread
import anyio.lowlevel
import anyio.to_thread

from conveyor import ConveyorError
from conveyor.errors import ConfigurationError
from conveyor_plugin_observability.prometheus import Page, metrics_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
    from wsgiref.types import StartResponse

    from conveyor import Conveyor

__all__ = ["metrics_app", "serve_until_signalled", "serving"]

logger: Final = logging.getLogger("conveyor.metrics")

# How long the end may take: the server looks so often whether it is to end.
_POLL_SECONDS: Final = 0.1
_PLAIN: Final = "text/plain; charset=utf-8"


def metrics_app(
    app: Conveyor,
) -> Callable[
    [
        Mapping[str, Any],
        Callable[[], Awaitable[Any]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]:
    """Return an ASGI app that answers GET and HEAD with an open app's metrics, for a server to mount anywhere.

    A store that cannot be asked is answered with 503.
    """

    async def answer(
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Any]],  # noqa: ARG001 - ASGI gives it
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http":
            raise ConfigurationError(f"metrics are read over http, not over {scope['type']}")
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept").decode("latin-1")
        status, page = await _answer(app, scope["method"], accept)
        headers = [(b"content-type", page.content_type.encode()), (b"content-length", b"%d" % len(page.body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else page.body})

    return answer


async def serve_until_signalled(app: Conveyor, host: str, port: int, told: Callable[[str], None]) -> None:
    """Open the app and answer ``http://host:port/metrics`` until SIGINT or SIGTERM.

    Args:
        app: what is asked.
        host: the address to listen on.
        port: 0 takes any that is free.
        told: is given the URL, once somebody may ask.

    Raises:
        ConfigurationError: nobody can listen there.
        CapabilityError: the store counts nothing.
        StoreError: the store cannot be opened.
    """
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with app, serving(app, host, port) as url:
            # A store that counts nothing is an error now, and not at every scrape.
            await metrics_page(app)
            told(url)
            async for _ in signals:
                return


@asynccontextmanager
async def serving(app: Conveyor, host: str, port: int) -> AsyncIterator[str]:
    """Answer as long as the block lasts, in threads, and give the URL. Raises ConfigurationError as above."""
    wsgi = partial(_answer_in_thread, app, anyio.lowlevel.current_token())
    try:
        # In a thread, since it looks up the name of the host.
        server = await anyio.to_thread.run_sync(make_server, host, port, wsgi, _Server, _Quiet)
    except (OSError, OverflowError) as exc:
        raise ConfigurationError(f"nobody can listen on {host}:{port}: {exc}") from exc
    with server:
        # No task: one that is cancelled before its thread runs would leave the server's end waiting for ever.
        threading.Thread(
            target=server.serve_forever, args=(_POLL_SECONDS,), name="conveyor metrics", daemon=True
        ).start()
        try:
            yield f"http://{host}:{server.server_port}/metrics"
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(server.shutdown)


async def _answer(app: Conveyor, method: str, accept: str) -> tuple[int, Page]:
    if method not in {"GET", "HEAD"}:
        return 405, Page(b"only GET and HEAD\n", _PLAIN)
    try:
        return 200, await metrics_page(app, accept)
    except ConveyorError as exc:
        # Who scrapes need not read of the store's address; its operator does.
        logger.warning("the metrics cannot be read: %s", app.masking.text(str(exc)))
        return 503, Page(b"the metrics cannot be read now; the log of this process says why\n", _PLAIN)


def _answer_in_thread(
    app: Conveyor, token: anyio.lowlevel.EventLoopToken, environ: Mapping[str, Any], start_response: StartResponse
) -> Iterable[bytes]:
    if environ["PATH_INFO"] not in {"/metrics", "/"}:
        status, page = 404, Page(b"they are at /metrics\n", _PLAIN)
    else:
        method, accept = environ["REQUEST_METHOD"], environ.get("HTTP_ACCEPT", "")
        status, page = anyio.from_thread.run(_answer, app, method, accept, token=token)
    start_response(
        f"{status} {_REASONS[status]}", [("Content-Type", page.content_type), ("Content-Length", str(len(page.body)))]
    )
    return [b"" if environ["REQUEST_METHOD"] == "HEAD" else page.body]


_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each scrape, so that one slow reader keeps nobody waiting."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Says nothing of each scrape, and waits for no client for ever."""

    timeout = 30

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Say it to who wants it all."""
        logger.debug(format, *args)
