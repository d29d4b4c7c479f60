"""RowLayout: a row class as a table: which columns it has, and a row of a file as one of its instances."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar, get_type_hints

import attrs
from attrs import frozen

from conveyor.codec.tables.blame import find_faults, find_other_faults
from conveyor.codec.tables.cells import CellParser, describe_type, is_optional, make_parser
from conveyor.codec.tables.columns import Column, described_by
from conveyor.codec.tables.forms import OWN_COLUMNS, TableRow
from conveyor.codec.tables.making import RowMaker
from conveyor.errors import BadFileError, BadRowError, ConfigurationError, did_you_mean
from conveyor.model.batches.values import RowFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["LayoutColumn", "RowLayout"]

RowT = TypeVar("RowT")

# What stands behind the name of a column that must be there, in templates.
REQUIRED_MARK: Final = "*"
MOST_NAMED: Final = 5
# So few rows are read one by one, where one of them is bad.
_FEW_ROWS: Final = 8


@frozen
class LayoutColumn:
    """One field of a row class as a column.

    Attributes:
        name: what the column is called: the field's name in ``__init__``.
        field: the field.
        described: what its metadata says.
        is_required: an empty cell is an error; `is_optional`: it is None; else it is the field's default.
        contents: what cells hold, for people; empty for text.
        parse: reads a cell; None: the field's converter is given its text.
    """

    name: str
    field: attrs.Attribute[Any]
    described: Column
    is_required: bool
    is_optional: bool
    contents: str
    parse: CellParser | None


class _Found(NamedTuple):
    """The columns of a header: those that are known, as they are called there, and what is wrong with the others."""

    columns: Sequence[tuple[str, LayoutColumn]]
    unknown: Sequence[str]
    missing: Sequence[str]
    twice: Sequence[RowFault]


class _Plan(NamedTuple):
    """How rows of one header are read: which column each cell is of, and what is wrong with all such rows."""

    columns: Sequence[tuple[str, LayoutColumn]]
    faults: Sequence[RowFault]


class RowLayout(Generic[RowT]):
    """Reads rows of files into instances of a class of attrs, and names what does not fit.

    A column is found by the field's name or one of its aliases, whatever the case; blanks, hyphens and underscores are
    the same, and a `*` at the end is left out. An empty cell is the field's default where there is one, else None
    where the type has it, else an error; so a text that may be empty has the default "".
    """

    def __init__(self, row_class: type[RowT]) -> None:
        """Prepare once for a class.

        Raises:
            ConfigurationError: it is no class of attrs, a field's type fits in no cell, or two fields have one name.
        """
        self._make: Callable[..., RowT] = row_class
        if not attrs.has(row_class):
            raise ConfigurationError(f"rows must be of a class of attrs, got {row_class!r}")
        self.row_class = row_class
        self.columns: Sequence[LayoutColumn] = _columns_of(row_class)
        self._by_word = _words(self.columns, row_class)
        self._plan = lru_cache(maxsize=64)(self._make_plan)
        self._maker = lru_cache(maxsize=8)(self._make_maker)

    @property
    def names(self) -> Sequence[str]:
        """What the columns are called."""
        return tuple(column.name for column in self.columns)

    def count_known(self, headers: Sequence[str]) -> int:
        """Return how many of these headers name a column."""
        return sum(_word(header) in self._by_word for header in headers)

    def check_columns(self, headers: Sequence[str]) -> None:
        """Check the header of a file.

        Raises:
            BadFileError: it has a column that the class does not, one of them twice, or lacks one that must be there.
        """
        found = self._find_columns(headers)
        if found.twice:
            raise BadFileError("duplicate_column", found.twice[0].message)
        lacks = [f"it has no column {', '.join(map(repr, found.missing))}"] if found.missing else []
        if found.unknown:
            # Whoever mends the file is told of both at once.
            raise BadFileError("unknown_column", "; ".join([_unknown(found.unknown, self.names), *lacks]))
        if lacks:
            raise BadFileError("missing_column", lacks[0])

    def read(self, row: TableRow, *, has_comma: bool = False) -> RowT:
        """Return a row as an instance.

        Args:
            row: as the reader gave it.
            has_comma: its decimals have a comma; `TableReader.has_comma` says so.

        Raises:
            BadRowError: the file or the class says that it is wrong; the error names all columns that are, as the file
                does.
        """
        if row.error is not None:
            raise BadRowError(*row.error)
        values = row.values
        plan = self._plan(tuple(values))
        faults = list(plan.faults)
        given: dict[str, Any] = {}
        for header, column in plan.columns:
            cell = values[header]
            try:
                if cell is None or (isinstance(cell, str) and (not cell or (column.contents and cell.isspace()))):
                    _leave_out(column, header, given)
                else:
                    given[column.name] = _read_cell(column, header, cell, has_comma=has_comma)
            except BadRowError as exc:
                faults.append(RowFault(exc.code, exc.message, exc.column))
        if faults:
            raise _bad_row(plan, [*faults, *_refusals(plan, find_other_faults(self.row_class, given))])
        try:
            return self._make(**given)
        except Exception as exc:  # the class's own converters and validators may raise anything
            raise _bad_row(plan, _refusals(plan, find_faults(self.row_class, given, exc))) from exc

    def read_many(
        self, columns: tuple[str, ...], rows: Sequence[Sequence[str]], *, has_comma: bool = False
    ) -> list[RowT | BadRowError]:
        """Return rows of cells as instances, in the place of a bad one the error that `read` raises.

        Args:
            columns: what each cell stands in; none of them is conveyor's own.
            rows: cells, as many in each row as there are columns.
            has_comma: see `read`.
        """
        try:
            return [*self._maker(columns).make(rows, has_comma=has_comma)]
        except Exception:  # noqa: BLE001 - as in `read`; which row it is, and why, is found below
            if len(rows) <= _FEW_ROWS:
                return [self._read_one(columns, row, has_comma=has_comma) for row in rows]
        middle = len(rows) // 2
        first = self.read_many(columns, rows[:middle], has_comma=has_comma)
        return first + self.read_many(columns, rows[middle:], has_comma=has_comma)

    def _read_one(self, columns: tuple[str, ...], cells: Sequence[str], *, has_comma: bool) -> RowT | BadRowError:
        row = TableRow(0, dict(zip(columns, cells, strict=True)), "", 0)
        try:
            return self.read(row, has_comma=has_comma)
        except BadRowError as exc:
            return exc

    def values_of(self, row: RowT) -> Mapping[str, Any]:
        """Return the values of an instance by column, for a writer."""
        return {column.name: getattr(row, column.field.name) for column in self.columns}

    def _make_maker(self, columns: tuple[str, ...]) -> RowMaker[RowT]:
        return RowMaker(self._make, [column for _, column in self._plan(columns).columns])

    def _find_columns(self, headers: Sequence[str]) -> _Found:
        """Return which column each header is, and what is wrong with them."""
        found: dict[str, tuple[str, LayoutColumn]] = {}
        unknown: list[str] = []
        twice: list[RowFault] = []
        for header in headers:
            if header in OWN_COLUMNS:
                continue
            column = self._by_word.get(_word(header))
            if column is None:
                unknown.append(header)
            elif column.name in found:
                told = f"{found[column.name][0]!r} and {header!r} are the same column, {column.name!r}"
                twice.append(RowFault("duplicate_column", told, header))
            else:
                found[column.name] = (header, column)
        missing = [column.name for column in self.columns if column.is_required and column.name not in found]
        return _Found(list(found.values()), unknown, missing, twice)

    def _make_plan(self, headers: tuple[str, ...]) -> _Plan:
        """Return how a row of these headers is read: each of JSON lines has headers of its own."""
        found = self._find_columns(headers)
        unknown = [RowFault("unknown_column", _unknown([name], self.names), name) for name in found.unknown]
        missing = [RowFault("missing_column", "the row has no such column", name) for name in found.missing]
        return _Plan(found.columns, [*found.twice, *unknown, *missing])


def _unknown(headers: Sequence[str], known: Sequence[str]) -> str:
    if len(headers) == 1:
        return f"there is no column {headers[0]!r}: {did_you_mean(headers[0], known)}"
    # A file of something else may have hundreds.
    named = ", ".join(map(repr, headers[:MOST_NAMED]))
    more = ", …" if len(headers) > MOST_NAMED else ""
    return f"there are no columns {named}{more}: known: {', '.join(sorted(known))}"


def _columns_of(row_class: type[Any]) -> Sequence[LayoutColumn]:
    try:
        hints = get_type_hints(row_class, include_extras=True)
    except NameError as exc:
        raise ConfigurationError(
            f"a type in {row_class.__qualname__} is not known at run time: {exc}; import it outside TYPE_CHECKING"
        ) from exc
    return tuple(
        _column_of(row_class, field, hints.get(field.name, str)) for field in attrs.fields(row_class) if field.init
    )


def _column_of(row_class: type[Any], field: attrs.Attribute[Any], hint: Any) -> LayoutColumn:
    can_be_none = is_optional(hint)
    parse: CellParser | None
    if field.converter is None:
        parse, contents = make_parser(hint, f"{row_class.__qualname__}.{field.name}"), describe_type(hint)
    else:
        parse, contents = _parser_for(field.converter)
    described = described_by(field)
    return LayoutColumn(
        name=field.alias or field.name,
        field=field,
        described=described,
        is_required=field.default is attrs.NOTHING and not can_be_none,
        is_optional=field.default is attrs.NOTHING and can_be_none,
        contents="one of: " + ", ".join(described.choices) if described.choices else contents,
        parse=parse,
    )


def _parser_for(converter: Any) -> tuple[CellParser | None, str]:
    """Return what reads cells for a converter, and what they hold: by what it says that it takes, else their text."""
    try:
        first = next(iter(inspect.signature(converter).parameters))
        hint = get_type_hints(converter)[first]
        return make_parser(hint, first), describe_type(hint)
    except (ConfigurationError, KeyError, NameError, StopIteration, TypeError, ValueError):
        return None, ""  # it says nothing, or something that no cell holds


def _words(columns: Sequence[LayoutColumn], row_class: type[Any]) -> Mapping[str, LayoutColumn]:
    found: dict[str, LayoutColumn] = {}
    for column in columns:
        for word in {_word(name) for name in (column.name, *column.described.aliases)}:
            if word in found or word in OWN_COLUMNS:
                other = f"that of {found[word].name!r}" if word in found else "conveyor's own"
                raise ConfigurationError(
                    f"{row_class.__qualname__}.{column.name} has the column name {word!r}, {other}"
                )
            found[word] = column
    return found


def _word(header: str) -> str:
    """Return a header as it is compared."""
    return "_".join(header.rstrip().removesuffix(REQUIRED_MARK).casefold().replace("-", " ").replace("_", " ").split())


def _refusals(plan: _Plan, refused: Iterable[tuple[str | None, str]]) -> list[RowFault]:
    """Return what fields refused, under the names that their columns have in the file."""
    headers = {column.field.name: header for header, column in plan.columns}
    return [
        RowFault("invalid_value", message, None if name is None else headers.get(name, name))
        for name, message in refused
    ]


def _bad_row(plan: _Plan, faults: Sequence[RowFault]) -> BadRowError:
    """Return one error of all that is wrong about a row, in the order of its columns; the others stand behind them."""
    places = {header: place for place, (header, _) in enumerate(plan.columns)}
    in_order = sorted(faults, key=lambda fault: places.get(fault.column or "", len(places)))
    first, *others = [BadRowError(fault.code, fault.message, fault.column) for fault in in_order]
    first.also = tuple(others)
    return first


def _leave_out(column: LayoutColumn, header: str, given: dict[str, Any]) -> None:
    if column.is_required:
        raise BadRowError("missing_value", "the cell is empty", header)
    if column.is_optional:
        given[column.name] = None


def _read_cell(column: LayoutColumn, header: str, cell: Any, *, has_comma: bool) -> Any:
    choices = column.described.choices
    if choices and cell not in choices:
        raise BadRowError("not_a_choice", f"{cell!r} is none of: {', '.join(choices)}", header)
    if column.parse is None:
        return cell
    try:
        return column.parse(cell, has_comma)
    except ValueError as exc:
        raise BadRowError("invalid_value", str(exc), header) from None
