"""How long a statement may take: said to the server once for a connection, or, behind a pooler, in each transaction."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from conveyor_plugin_postgres.driver_errors import DRIVER_ERRORS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from conveyor_plugin_postgres.options import PostgresOptions
    from conveyor_plugin_postgres.part import Part

__all__ = ["GRACE_SECONDS", "connection_options", "run_limited"]

T = TypeVar("T")

# Beyond its own limit for a statement, the server gets so long to say that it stopped it.
GRACE_SECONDS: Final = 2.0


def connection_options(options: PostgresOptions) -> dict[str, Any]:
    """Return what asyncpg is to make a connection with."""
    made: dict[str, Any] = {
        "command_timeout": options.timeout.total_seconds() + GRACE_SECONDS,
        "server_settings": {"application_name": "conveyor"},
    }
    if options.is_pooled:
        # A pooler refuses other settings, and the next transaction's server does not know what this one prepared.
        return made | {"statement_cache_size": 0}
    made["server_settings"] |= {name: str(value) for name, value in _limits(options).items()}
    return made


async def run_limited(
    options: PostgresOptions, work: Callable[..., Coroutine[Any, Any, T]], part: Part, /, *args: object
) -> T:
    """Run an operation on a connection that was made with `connection_options`; behind a pooler, in a transaction."""
    if not options.is_pooled:
        return await work(part, *args)
    settings = "; ".join(f"set local {name} = {value}" for name, value in _limits(options).items())
    await part.connection.execute(f"begin; {settings}")
    try:
        value = await work(part, *args)
        await part.connection.execute("commit")
    except BaseException:
        with suppress(*DRIVER_ERRORS):  # what was raised first tells more; a connection that is lost is closed
            await part.connection.execute("rollback")
        raise
    return value


def _limits(options: PostgresOptions) -> dict[str, int]:
    milliseconds = int(options.timeout.total_seconds() * 1000)
    return {"statement_timeout": milliseconds, "idle_in_transaction_session_timeout": milliseconds}
