"""What commands print: data on stdout as a table, JSON or CSV, talk on stderr."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from conveyor._cli.tables import make_table, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rich.table import Table

    from conveyor._cli.parameters import Format, ListFormat

__all__ = [
    "age",
    "in_words",
    "printable",
    "say",
    "show_page",
    "show_record",
    "show_records",
    "span",
    "table_lines",
    "write",
    "write_json",
    "write_table",
]

# Nothing is cut where a program reads on.
_WIDTH_OF_FILES: Final = 10_000
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "m"))


def say(text: str) -> None:
    """Tell something that is not data."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - the command line speaks


def write(text: str) -> None:
    """Print a line of data, with nothing in it that a terminal would obey."""
    print(printable(text))  # noqa: T201 - the command line speaks


def write_json(value: object, *, on_one_line: bool = False) -> None:
    """Print a JSON value."""
    # Backslash escapes keep control characters away from the terminal.
    print(json.dumps(value, ensure_ascii=False, indent=None if on_one_line else 2))  # noqa: T201


def show_record(record: Mapping[str, Any], output: Format) -> None:
    """Print one object; as a table, a line for each of its fields."""
    if output == "table":
        write_table((), [(key, _flat(value)) for key, value in record.items()])
    else:
        write_json(record, on_one_line=output == "jsonl")


def show_records(
    records: Sequence[Mapping[str, Any]],
    output: ListFormat,
    titles: Sequence[str],
    row: Callable[[Mapping[str, Any]], Sequence[object]],
) -> None:
    """Print several objects: as a table of the cells that `row` makes, an array, an object a line, or CSV."""
    if output == "json":
        write_json(records)
    elif output == "jsonl":
        for record in records:
            write_json(record, on_one_line=True)
    elif output == "csv":
        from conveyor._cli.csv_cells import CsvWriter

        lines = CsvWriter(sys.stdout)
        for record in records:
            lines.write(record)
    else:
        write_table(titles, [row(record) for record in records])


def show_page(
    noun: str,
    records: Sequence[Mapping[str, Any]],
    next_cursor: str | None,
    *,
    output: ListFormat,
    titles: Sequence[str],
    row: Callable[[Mapping[str, Any]], Sequence[object]],
) -> None:
    """Print some of many, as `show_records` does, and how to get the next: in JSON both stand in one object."""
    if output == "json":
        write_json({noun: records, "next_cursor": next_cursor})
        return
    show_records(records, output, titles, row)
    if next_cursor is not None:
        say(f"there are more: --cursor {next_cursor}")


def write_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; to a terminal they fit its width, elsewhere nothing is cut."""
    print("\n".join(table_lines(titles, rows, sys.stdout)))  # noqa: T201 - the command line speaks


def table_lines(titles: Sequence[str], rows: Iterable[Sequence[object]], file: TextIO) -> list[str]:
    """Return the lines of aligned columns: if the file is a terminal, they fit its width, else nothing is cut."""
    from rich.console import Console

    console = Console(file=file) if file.isatty() else Console(file=file, width=_WIDTH_OF_FILES)
    table = make_table(titles, rows, console.width) if titles else _fields(rows)
    with console.capture() as captured:
        console.print(table)
    return [line.rstrip() for line in captured.get().splitlines()]


def _fields(rows: Iterable[Sequence[object]]) -> Table:
    """Return a table without titles: what each row is about stands first, and is never folded."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else printable(str(cell)), overflow="fold") for cell in row))
    return table


def age(moment: str | None) -> str:
    """Return how long ago an ISO 8601 time was."""
    if moment is None:
        return ""
    return in_words((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def span(start: str | None, end: str | None) -> str:
    """Return how long it was from one ISO 8601 time to another; nothing where one is missing."""
    if start is None or end is None:
        return ""
    return in_words((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


def in_words(seconds: float) -> str:
    """Return a span of time as people say it, in its largest unit.

    >>> in_words(200), in_words(12.34), in_words(0.005)
    ('3m', '12s', '5ms')
    """
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def _flat(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return "\n".join(value) or "-"
    if value is None:
        return "-"
    return json.dumps(value, ensure_ascii=False)
