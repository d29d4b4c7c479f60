"""Options that commands share, as they are parsed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from attrs import frozen
from cyclopts import Parameter

__all__ = [
    "APP_HELP",
    "Backend",
    "CommonOptions",
    "ExportOptions",
    "Format",
    "ListFormat",
    "ListOptions",
    "OutputOptions",
    "StoreOptions",
    "Unmasked",
    "WhereOptions",
    "Yes",
    "asks_for_traceback",
    "flattened",
]

Format: TypeAlias = Literal["table", "json", "jsonl"]
ListFormat: TypeAlias = Literal["table", "json", "jsonl", "csv"]
Backend: TypeAlias = Literal["asyncio", "trio"]

APP_HELP: Final = "Where the app is, as module:attr; else CONVEYOR_APP, else [tool.conveyor] app."

flattened: Final = Parameter(name="*")

Output = Annotated[
    Format, Parameter(name=("--output", "-o"), help="Print for people, as JSON, or as one JSON value a line.")
]
Yes = Annotated[
    bool, Parameter(name=("--yes", "-y"), negative="", show_default=False, help="Do not ask before it is done.")
]

Unmasked = Annotated[
    bool, Parameter(negative="", show_default=False, help="Show also what masked fields hold, such as passwords.")
]


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

    output: Output = "table"


@frozen(kw_only=True)
class WhereOptions(CommonOptions):
    """Which store, or which app, a command works on."""

    store: Annotated[
        str | None,
        Parameter(
            help="URL of the store; else CONVEYOR_STORE, else [tool.conveyor] store, else sqlite:///conveyor.db."
        ),
    ] = None
    app: Annotated[str | None, Parameter(help=APP_HELP)] = None


@frozen(kw_only=True)
class StoreOptions(WhereOptions):
    """What every command takes that works on a store, and prints data."""

    output: Output = "table"


@frozen(kw_only=True)
class ListOptions(WhereOptions):
    """What a command takes that lists what is in a store."""

    output: Annotated[
        ListFormat,
        Parameter(name=("--output", "-o"), help="Print for people, as JSON, one JSON value a line, or CSV."),
    ] = "table"


@frozen(kw_only=True)
class ExportOptions(WhereOptions):
    """What a command takes that exports what is in a store."""

    output: Annotated[
        Literal["jsonl", "csv", "json"],
        Parameter(name=("--output", "-o"), help="One JSON value a line, CSV, or one JSON array."),
    ] = "jsonl"
    file: Annotated[Path | None, Parameter(help="Write to this file, which must not exist, instead of stdout.")] = None
    raw: Annotated[
        bool,
        Parameter(
            name="--raw",
            negative="",
            show_default=False,
            help="In CSV, leave cells as they are that a spreadsheet would take for formulas.",
        ),
    ] = False


def asks_for_traceback(values: dict[str, Any]) -> bool:
    """Whether the parsed arguments of a command, whichever it is, hold ``--verbose``."""
    return any(isinstance(value, CommonOptions) and value.verbose for value in values.values())
