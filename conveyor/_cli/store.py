"""``conveyor store``: check, migrate and sql; stats stands beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import App, Parameter

from conveyor._cli.output import say, show_record, show_records, write
from conveyor._cli.parameters import StoreOptions, flattened
from conveyor._cli.store_stats import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor._app import Conveyor
    from conveyor.contracts.store import Store
    from conveyor.model.migrations import Migration

__all__ = ["store"]

_DEFAULTS: Final = StoreOptions()

store: Final = App(name="store", help="Check the store, see what is in it, bring its schema up to date.")

store.command(stats, help_epilogue="Example:\n  conveyor store stats -o json")


@store.command
def check(*, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Check that the store is reachable and its schema fits; say what it promises and can do.

    Changes nothing. Exits with 4 if the store cannot be reached, with 6 if its schema is behind or ahead.
    """
    import anyio

    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.failures import ExitCode

    record = anyio.run(_check, find_operated_app(options))
    show_record(record, options.output)
    if record["is_schema_current"]:
        return ExitCode.OK
    if record["schema_found"] < record["schema_wanted"]:
        say("error: the store's schema is behind\nhint: bring it up to date: conveyor store migrate")
    else:
        say("error: the store's schema was made by a newer conveyor\nhint: upgrade conveyor")
    return ExitCode.SCHEMA


async def _check(app: Conveyor) -> dict[str, Any]:
    from conveyor._cli.opening import open_store, url_of, without_migrating
    from conveyor.errors import SchemaError

    url = url_of(app)
    try:
        async with open_store(app, without_migrating(url)) as opened:
            record = await _describe(opened)
            return _where(url, record | {"notes": [*record["notes"], *_notes_of_job_queue(app)]})
    except SchemaError as exc:
        if exc.is_unrecorded:
            raise
        migrations = app.plugins.store_provider(url).migrations(url)
        pending = [_title(migration) for migration in _pending(migrations, exc.found)]
        name = app.plugins.store_provider(url).name
        return _where(url, _schema_to_json(name, exc.found, exc.wanted, pending))


def _notes_of_job_queue(app: Conveyor) -> list[str]:
    """Say where the app's jobs are, if they may be elsewhere than in the store."""
    job_queue = app._given.job_queue  # noqa: SLF001 - nouns of the front hide it from users, not from the rooms
    if job_queue == "store":
        return []
    # Of a URL the scheme alone: the rest may hold a password.
    name = job_queue.partition("://")[0] if isinstance(job_queue, str) else type(job_queue).__name__
    return [f"The app's jobs are where its job queue {name!r} keeps them, which this check does not look at."]


def _where(url: str, record: dict[str, Any]) -> dict[str, Any]:
    from conveyor.model.masking import masked_url

    return {"store": record["store"], "url": masked_url(url), **record}


async def _describe(opened: Store) -> dict[str, Any]:
    from conveyor.codec import to_json

    status = await opened.schema.get_status()
    pending = [_title(migration) for migration in status.pending]
    return _schema_to_json(opened.name, status.found, status.wanted, pending) | {
        "guarantees": to_json(opened.guarantees),
        "capabilities": to_json(opened.capabilities),
        "notes": list(opened.notes()),
    }


def _schema_to_json(name: str, found: int, wanted: int, pending: Sequence[str]) -> dict[str, Any]:
    return {
        "store": name,
        "is_reachable": True,
        "is_schema_current": found == wanted and not pending,
        "schema_found": found,
        "schema_wanted": wanted,
        "pending": list(pending),
        "guarantees": None,
        "capabilities": None,
        "notes": [],
    }


@store.command
def migrate(*, options: Annotated[StoreOptions, flattened] = _DEFAULTS) -> int:
    """Bring the store's schema up to date and list what was applied. Safe to run twice, or at once."""
    import anyio

    from conveyor._cli.discovery import find_operated_app

    applied = anyio.run(_migrate, find_operated_app(options))
    if not applied:
        say("the schema is up to date")
        if options.output == "table":
            return 0
    records = [{"version": migration.version, "name": migration.name} for migration in applied]
    show_records(records, options.output, ("version", "applied"), lambda record: tuple(record.values()))
    return 0


async def _migrate(app: Conveyor) -> Sequence[Migration]:
    from conveyor._cli.opening import open_store, url_of, without_migrating
    from conveyor.errors import SchemaError, StoreError

    url = url_of(app)
    found = 0
    try:
        async with open_store(app, without_migrating(url)) as opened:
            return await opened.schema.migrate()
    except SchemaError as exc:
        if exc.is_unrecorded or exc.found > exc.wanted:
            raise
        found = exc.found
    except StoreError:
        pass  # maybe there is nothing yet; opening it to migrate says what else is wrong
    async with open_store(app, url.replace("auto_migrate=false", "auto_migrate=true")) as opened:
        await opened.schema.migrate()
    return _pending(app.plugins.store_provider(url).migrations(url), found)


@store.command(help_epilogue="Example:\n  conveyor store sql --store sqlite:///jobs.db > schema.sql")
def sql(
    *,
    down: Annotated[
        bool, Parameter(name="--down", negative="", show_default=False, help="The way back instead, last step first.")
    ] = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Print the migrations of a store, for other migration tools; opens no connection.

    What is printed notes that it was applied. Run it in one transaction, as psql --single-transaction does.
    """
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import url_of

    app = find_operated_app(options)
    url = url_of(app)
    migrations = list(app.plugins.store_provider(url).migrations(url))
    if options.output != "table":
        show_records([_migration_to_json(migration) for migration in migrations], options.output, (), lambda _: ())
        return 0
    if not migrations:
        say("this store has no schema")
    for migration in reversed(migrations) if down else migrations:
        write(f"-- {_title(migration)}{', back' if down else ''}")
        steps = (migration.down, migration.forget) if down else (migration.prepare, migration.up, migration.record)
        write("\n".join(step for step in steps if step))
    return 0


def _pending(migrations: Sequence[Migration], found: int) -> list[Migration]:
    return [migration for migration in migrations if migration.version > found]


def _title(migration: Migration) -> str:
    return f"{migration.version:04} {migration.name}"


def _migration_to_json(migration: Migration) -> dict[str, Any]:
    return {
        "version": migration.version,
        "name": migration.name,
        "prepare": migration.prepare,
        "up": migration.up,
        "record": migration.record,
        "down": migration.down,
        "forget": migration.forget,
        "checksum": migration.checksum,
    }
