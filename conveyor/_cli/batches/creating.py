"""``conveyor batch create``: what is typed becomes a context, and a batch job of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias

from attrs import frozen
from cyclopts import Parameter

from conveyor._cli.batches.parameters import BatchType, By, Force, check_file
from conveyor._cli.parameters import StoreOptions, flattened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conveyor._app import Conveyor
    from conveyor._cli.batches.uploads import Upload
    from conveyor._handles.batch_job import BatchJob
    from conveyor.model.batches.options import BatchKeywords

__all__ = [
    "ContextOptions",
    "DryRun",
    "check_keeps",
    "check_names_no_file",
    "create",
    "created",
    "created_of_file",
    "parse_context",
]

_DEFAULTS: Final = StoreOptions()
_CONTEXT: Final = '{"region": "eu"}'

Confirm: TypeAlias = Annotated[
    Literal["manual", "automatic"] | None,
    Parameter(
        name="--confirm", help="Whether somebody confirms it before rows are written; by default as its type says."
    ),
]
DryRun: TypeAlias = Annotated[
    bool, Parameter(name="--dry-run", negative="", show_default=False, help="Try everything, and keep nothing.")
]


@frozen(kw_only=True)
class ContextOptions:
    """What a batch job is to do, as it is typed."""

    context: Annotated[str, Parameter(help=f"What it is to do, as JSON, such as '{_CONTEXT}'.")] = "{}"
    set: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="One name=value of it; may be given often. A value is JSON, or else text.",
        ),
    ] = None


_NOTHING: Final = ContextOptions()


def create(
    batch_type: BatchType,
    /,
    *,
    wanted: Annotated[ContextOptions, flattened] = _NOTHING,
    file: Annotated[
        str | None,
        Parameter(
            help="A file that goes into the app's file storage; its key goes into the context as `file`. "
            "- for standard input.",
            allow_leading_hyphen=True,
        ),
    ] = None,
    dry_run: DryRun = False,
    confirm: Confirm = None,
    by: By = None,
    force: Force = False,
    options: Annotated[StoreOptions, flattened] = _DEFAULTS,
) -> int:
    """Create a batch job, and print its id; a worker of the app processes it.

    It exits with 5 if the strategy refuses it, or if one that is the same neither failed nor was cancelled.
    """
    import anyio

    from conveyor._cli.batches.parameters import person

    if file is not None:
        check_file(file)
    context = parse_context(wanted.context, wanted.set or ())
    if file is not None:
        check_names_no_file(context)
    keywords: BatchKeywords = {
        "dry_run": dry_run,
        "created_by": person(by),
        "confirmation": confirm,
        "force": force,
    }
    return anyio.run(_create, batch_type, file, context, keywords, options)


def parse_context(text: str, settings: Sequence[str]) -> dict[str, Any]:
    """Return the context that was typed, as JSON and as settings over it.

    Raises:
        ConfigurationError: one of them cannot be read, or a name is set twice.

    >>> parse_context('{"file": "a.csv"}', ["rows=3", "zip=01234"])
    {'file': 'a.csv', 'rows': 3, 'zip': '01234'}
    """
    from conveyor.codec import decode_json
    from conveyor.errors import ConfigurationError

    try:
        context = decode_json(text.encode())
    except ValueError as exc:
        raise ConfigurationError(f"--context must be JSON, such as '{_CONTEXT}': {exc}") from exc
    if not isinstance(context, dict):
        raise ConfigurationError(f"--context must map names to values, such as '{_CONTEXT}', got {text}")
    typed = dict[str, Any]()
    for setting in settings:
        name, separator, value = setting.partition("=")
        if not separator or not name:
            raise ConfigurationError(f"--set takes name=value, got {setting!r}")
        if name in typed:
            raise ConfigurationError(f"--set {name}=… stands there twice; which one is meant?")
        typed[name] = _value(value)
    return context | typed


def check_names_no_file(context: Mapping[str, Any]) -> None:
    """Refuse a context that names a file beside the one that is to be uploaded.

    Raises:
        ConfigurationError: it does.
    """
    from conveyor.errors import ConfigurationError

    if "file" in context:
        raise ConfigurationError("the context has a `file` already, and one is given to be uploaded; which is meant?")


def _value(text: str) -> object:
    from conveyor.codec import decode_json

    try:
        return decode_json(text.encode())
    except ValueError:
        return text


def check_keeps(app: Conveyor) -> None:
    """Make sure that the open app's store has what it is given when this command is over.

    Raises:
        CommandError: it keeps nothing.
    """
    from conveyor._cli.failures import CommandError, ExitCode
    from conveyor._cli.opening import services_of

    store = services_of(app).store
    if not store.capabilities.is_durable:
        what = f"{store.name} keeps nothing once it is closed, so a batch job would be gone with this command"
        raise CommandError(ExitCode.REFUSED, what, "name another store: --store URL")


async def created(app: Conveyor, batch_type: str, context: Mapping[str, Any], keywords: BatchKeywords) -> BatchJob:
    """Create a batch job.

    Raises:
        CommandError: the app has no strategy of the type (3), or the strategy refuses the context (5).
    """
    from conveyor._cli.batches.known_types import check_type
    from conveyor._cli.failures import CommandError, ExitCode
    from conveyor.errors import ConveyorError

    check_type(app, batch_type)
    advice = "" if "file" in context else "if it is to work on a file, name that with --file"
    try:
        return await app.batches.create(batch_type, context, **keywords)
    except ConveyorError as exc:
        if not advice or "`file`" not in str(exc):
            raise
        raise CommandError(ExitCode.REFUSED, str(exc), advice) from exc
    # Strategies refuse a context by whatever error they like.
    except Exception as exc:
        what = f"the strategy of {batch_type!r} refuses this context: {type(exc).__name__}: {exc}"
        raise CommandError(ExitCode.REFUSED, what, advice) from exc


async def created_of_file(
    app: Conveyor, upload: Upload, batch_type: str, context: Mapping[str, Any], keywords: BatchKeywords
) -> BatchJob:
    """Put a file into the app's file storage, and create a batch job of it; where that is refused, the file goes again.

    Raises:
        CommandError: it cannot be read, or as for `created`.
    """
    from conveyor._cli.batches.uploads import put
    from conveyor.errors import StoreUnavailableError

    key = await put(app, upload)
    try:
        return await created(app, batch_type, {**context, "file": key}, keywords)
    except StoreUnavailableError:
        raise  # there may be a batch job that names it; if not, the file expires
    except Exception:
        # Nobody else knows of it.
        await app.files.delete(key)
        raise


async def _create(
    batch_type: str, file: str | None, context: Mapping[str, Any], keywords: BatchKeywords, options: StoreOptions
) -> int:
    from conveyor._cli.batches.known_types import check_type
    from conveyor._cli.batches.uploads import make_upload
    from conveyor._cli.discovery import find_operated_app
    from conveyor._cli.opening import looking_only
    from conveyor._cli.output import say, show_record

    async with looking_only(find_operated_app(options)) as app:
        check_keeps(app)
        if file is None:
            made = await created(app, batch_type, context, keywords)
        else:
            check_type(app, batch_type)
            upload = make_upload(app, batch_type, file, None, None)
            made = await created_of_file(app, upload, batch_type, context, keywords)
    show_record({"id": made.id, "status": str(made.status)}, options.output)
    say(f"see how it goes: conveyor batch watch {made.id}")
    return 0
