"""Cells: which types they may have, the text each is read from, and the text each is written as."""

# ruff: noqa: ARG001 - each parser is told whether decimals have a comma, and few need it

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum, EnumType
from functools import partial
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, get_args, get_origin
from uuid import UUID

from conveyor.errors import ConfigurationError, PayloadError

__all__ = ["CellParser", "describe_type", "is_optional", "make_parser", "write_cell"]

# From what stands in a cell, and whether decimals have a comma, to the value; ValueError says what is wrong.
CellParser: TypeAlias = Callable[[Any, bool], Any]

_WHOLE: Final = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
# With decimal commas, a point before three digits parts thousands for some and is a decimal point for others.
_GROUPED: Final = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+", re.ASCII)
_TRUTHS: Final[Mapping[str, bool]] = {
    "true": True, "yes": True, "1": True, "false": False, "no": False, "0": False,
}  # fmt: skip


def make_parser(hint: Any, what: str) -> CellParser:
    """Return what reads cells of a type; None in a union is left to the caller.

    Args:
        hint: str, int, float, Decimal, bool, date, datetime, UUID, an Enum, a Literal, or one of them or None.
        what: which field of which class, for the message.

    Raises:
        ConfigurationError: cells have no such type.
    """
    hint = _bare(hint)
    if get_origin(hint) is Literal:
        return partial(_read_choice, _choices(hint))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return partial(_read_choice, {member.name: member for member in hint} | _choices(hint))
    parser = _PARSERS.get(hint) if isinstance(hint, type) else None
    if parser is None:
        known = ", ".join(kind.__name__ for kind in _PARSERS)
        raise ConfigurationError(
            f"{what} is of type {hint!r}, which a cell cannot hold: use {known}, an Enum, a Literal, or one of them "
            "or None; or give the field a converter, which is then given the text of the cell"
        )
    return parser


def is_optional(hint: Any) -> bool:
    """Whether None is one of the values of a type."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType, Literal) else (hint,)
    return NoneType in kinds or None in kinds


def describe_type(hint: Any) -> str:
    """Return what a cell of a type holds, for people; empty for text."""
    hint = _bare(hint)
    if get_origin(hint) is Literal or (isinstance(hint, type) and issubclass(hint, Enum)):
        return "one of: " + ", ".join(_choices(hint))
    return _DESCRIPTIONS.get(hint, "") if isinstance(hint, type) else ""


def write_cell(value: object, *, has_comma: bool = False) -> str:
    """Return the text of a cell, which a parser of the value's type reads again.

    Args:
        value: of one of the types of `make_parser`; None is an empty cell.
        has_comma: decimals are written with a comma.

    Raises:
        PayloadError: it is of another type, or no finite number.
    """
    if isinstance(value, Enum):
        value = value.value if isinstance(value.value, (str, int)) else value.name
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (float, Decimal)):
        if not math.isfinite(value):
            raise PayloadError("cell", "$", f"{value!r} is no finite number")
        text = str(value)
        return text.replace(".", ",") if has_comma else text
    if isinstance(value, (int, UUID)):
        return str(value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    raise PayloadError("cell", "$", f"a cell cannot hold {value!r}")


def _bare(hint: Any) -> Any:
    """Return a type without its annotations and without None."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        return _bare(kinds[0]) if len(kinds) == 1 else hint
    return hint


def _choices(hint: Any) -> dict[str, Any]:
    values: Iterable[Any] = hint if isinstance(hint, EnumType) else get_args(hint)
    return {write_cell(value): value for value in values if value is not None}


def _read_text(cell: Any, has_comma: bool) -> str:
    if isinstance(cell, str):
        return cell
    raise ValueError(f"{cell!r} is no text")


def _read_int(cell: Any, has_comma: bool) -> int:
    if isinstance(cell, int) and not isinstance(cell, bool):
        return cell
    if isinstance(cell, str) and _WHOLE.fullmatch(text := cell.strip()):
        return int(text)
    raise ValueError(f"{cell!r} is no whole number")


def _read_decimal(cell: Any, has_comma: bool) -> Decimal:
    if isinstance(cell, (int, Decimal)) and not isinstance(cell, bool):
        return Decimal(cell)
    if isinstance(cell, str):
        text = cell.strip()
        if has_comma and _GROUPED.fullmatch(text):
            raise ValueError(f"{cell!r} may be {text.replace('.', '')} or {text.replace('.', ',')}: write one of these")
        if has_comma and "." not in text:
            text = text.replace(",", ".", 1)
        if _DECIMAL.fullmatch(text):
            try:
                return Decimal(text)
            except InvalidOperation:  # its exponent has more digits than Decimal takes
                pass
    raise ValueError(f"{cell!r} is no number{', such as 12,50' if has_comma else ', such as 12.50'}")


def _read_float(cell: Any, has_comma: bool) -> float:
    value = float(_read_decimal(cell, has_comma))
    if math.isfinite(value):
        return value
    raise ValueError(f"{cell!r} is too large a number")


def _read_bool(cell: Any, has_comma: bool) -> bool:
    if isinstance(cell, bool):
        return cell
    found = _TRUTHS.get(cell.strip().lower()) if isinstance(cell, str) else None
    if found is None:
        raise ValueError(f"{cell!r} is neither true nor false")
    return found


def _read_date(cell: Any, has_comma: bool) -> date:
    try:
        return date.fromisoformat(_read_text(cell, has_comma).strip())
    except ValueError:
        raise ValueError(f"{cell!r} is no date, such as 2026-01-31") from None


def _read_datetime(cell: Any, has_comma: bool) -> datetime:
    try:
        return datetime.fromisoformat(_read_text(cell, has_comma).strip())
    except ValueError:
        raise ValueError(f"{cell!r} is no date and time, such as 2026-01-31T09:30:00Z") from None


def _read_uuid(cell: Any, has_comma: bool) -> UUID:
    try:
        return UUID(_read_text(cell, has_comma).strip())
    except ValueError:
        raise ValueError(f"{cell!r} is no UUID") from None


def _read_choice(choices: Mapping[str, Any], cell: Any, has_comma: bool) -> Any:
    if isinstance(cell, (str, int, Decimal)):
        text = write_cell(cell)
        for key in (text, text.strip()):
            if key in choices:
                return choices[key]
    raise ValueError(f"{cell!r} is none of: {', '.join(choices)}")


_PARSERS: Final[Mapping[type, CellParser]] = {
    str: _read_text,
    int: _read_int,
    float: _read_float,
    Decimal: _read_decimal,
    bool: _read_bool,
    date: _read_date,
    datetime: _read_datetime,
    UUID: _read_uuid,
}
_DESCRIPTIONS: Final[Mapping[type, str]] = {
    int: "a whole number",
    float: "a number",
    Decimal: "a number",
    bool: "true or false",
    date: "a date, such as 2026-01-31",
    datetime: "a date and time, such as 2026-01-31T09:30:00Z",
    UUID: "a UUID",
}
