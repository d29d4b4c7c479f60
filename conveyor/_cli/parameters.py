"""Options that commands share, as they are parsed."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from attrs import frozen
from cyclopts import Parameter

__all__ = [
    "APP_HELP",
    "Backend",
    "CommonOptions",
    "Format",
    "OutputOptions",
    "StoreOptions",
    "asks_for_traceback",
    "flattened",
]

Format: TypeAlias = Literal["table", "json", "jsonl"]
Backend: TypeAlias = Literal["asyncio", "trio"]

APP_HELP: Final = "Where the app is, as module:attr; else CONVEYOR_APP, else [tool.conveyor] app."

flattened: Final = Parameter(name="*")


@frozen(kw_only=True)
class CommonOptions:
    """What every command takes."""

    verbose: Annotated[
        bool,
        Parameter(
            name=("--verbose", "-v"),
            negative="",
            show_default=False,
            help="Show the traceback of an error (or set CONVEYOR_TRACEBACK=1).",
        ),
    ] = False


@frozen(kw_only=True)
class OutputOptions(CommonOptions):
    """What every command takes that prints data."""

    output: Annotated[
        Format,
        Parameter(name=("--output", "-o"), help="Print for people, as JSON, or as one JSON value a line."),
    ] = "table"


@frozen(kw_only=True)
class StoreOptions(OutputOptions):
    """What every command takes that works on a store."""

    store: Annotated[
        str | None,
        Parameter(
            help="URL of the store; else CONVEYOR_STORE, else [tool.conveyor] store, else sqlite:///conveyor.db."
        ),
    ] = None
    app: Annotated[str | None, Parameter(help=APP_HELP)] = None


def asks_for_traceback(values: dict[str, Any]) -> bool:
    """Whether the parsed arguments of a command, whichever it is, hold ``--verbose``."""
    return any(isinstance(value, CommonOptions) and value.verbose for value in values.values())
