"""What a row class says of its columns, beside their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from conveyor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attrs import Attribute

__all__ = ["Column", "column", "described_by"]

_KEY: Final = "conveyor.column"


@frozen
class Column:
    """What `column` was told.

    Attributes:
        help: what the column is for, in words for those who fill it in.
        example: a cell, as it would be typed.
        aliases: other names that a header may have for it.
        choices: the only texts that cells may have; empty: any.
    """

    help: str = ""
    example: str = ""
    aliases: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()


def column(
    *,
    help: str = "",  # noqa: A002 - the word that people expect; the builtin is not used here
    example: str = "",
    aliases: Sequence[str] = (),
    choices: Sequence[str] = (),
) -> Mapping[str, Any]:
    """Return the metadata that describes a column: `price: Decimal = field(metadata=column(example="12.50"))`.

    Args:
        help: what the column is for, in words for those who fill it in.
        example: a cell, as it would be typed.
        aliases: other names that a header may have for it.
        choices: the only texts that cells may have; none given: any.

    Raises:
        ConfigurationError: aliases or choices are one string, and no list of them.
    """
    for name, given in (("aliases", aliases), ("choices", choices)):
        if isinstance(given, str) or not all(isinstance(one, str) for one in given):
            raise ConfigurationError(f"{name} of a column must be a list of strings, got {given!r}")
    return {_KEY: Column(help, example, tuple(aliases), tuple(choices))}


def described_by(field: Attribute[Any]) -> Column:
    """Return what a field's metadata says of its column."""
    described = field.metadata.get(_KEY)
    return described if isinstance(described, Column) else Column()
