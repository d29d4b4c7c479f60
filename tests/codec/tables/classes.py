"""Row classes that the tests of tables read and write."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from attrs import field, frozen, validators

from conveyor.codec.tables import column


class Colour(StrEnum):
    """Colours."""

    RED = "red"
    BLUE = "blue"


class Size(Enum):
    """Sizes, which are numbers."""

    SMALL = 1
    LARGE = 2


NO_ID: Final = UUID(int=0)


@frozen
class Everything:
    """A column of every type."""

    text: str = ""
    whole: int = 0
    ratio: float = 0.0
    price: Decimal = Decimal(0)
    is_new: bool = False
    day: date = date(2026, 1, 1)
    at: datetime = datetime(2026, 1, 1)  # noqa: DTZ001 - a file may hold such times
    id: UUID = NO_ID
    colour: Colour = Colour.RED
    size: Size = Size.SMALL
    kind: Literal["a", "b", 3] = "a"
    maybe: int | None = None
    note: Annotated[str | None, "anything"] = None


def upper(text: str) -> str:
    """Return text in capitals; a converter that says what it takes."""
    return text.upper()


def parts(text: Any) -> tuple[str, ...]:
    """Return what bars part; a converter that says nothing."""
    return tuple(text.split("|")) if isinstance(text, str) else text


def positive(instance: object, attribute: Any, value: Decimal) -> None:
    """Refuse what is not above zero."""
    if value <= 0:
        raise ValueError(f"{value} is not above zero")


@frozen
class Product:
    """A product of a catalogue."""

    sku: str = field(
        converter=upper, metadata=column(help="what the shop calls it", example="A-1", aliases=["Article no"])
    )
    name: str = field(validator=validators.max_len(20), metadata=column(example="Anvil"))
    price: Decimal = field(validator=positive, metadata=column(help="in euros", example="12.50", aliases=["preis"]))
    tags: tuple[str, ...] = field(default=(), converter=parts)
    state: str = field(default="new", metadata=column(choices=["new", "old"]))
    stock: int | None = None

    def __attrs_post_init__(self) -> None:
        """Refuse what no column alone is wrong about."""
        if self.name == self.sku:
            raise ValueError("a name is not a SKU")
