"""Classes of every kind that payloads may have, as users write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar

import attrs
import msgspec
import pydantic

T = TypeVar("T")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Size(StrEnum):
    SMALL = "small"


@dataclass
class Line:
    sku: str
    count: int = 1


@dataclass
class Order:
    lines: list[Line]
    note: str | None = None
    tags: set[str] = field(default_factory=set)


@attrs.define
class Address:
    street: str
    zip_code: str = attrs.field(default="", alias="zip")


@attrs.frozen
class Customer:
    address: Address
    orders: Sequence[Order] = ()


class Point(NamedTuple):
    x: int
    y: int = 0


class Profile(TypedDict):
    name: str
    age: NotRequired[int]


class Cat(msgspec.Struct, tag=True):
    lives: int = 9


class Dog(msgspec.Struct, tag=True):
    name: str


class Home(msgspec.Struct, forbid_unknown_fields=True):
    pets: list[Cat | Dog]
    path: Path | None = None


class Model(pydantic.BaseModel):
    name: str
    count: int = pydantic.Field(default=1, ge=0, alias="howMany")
    inner: list[Model] = []


@dataclass
class WithModel:
    model: Model
    path: Path


@dataclass
class Card:
    number: str
    kind: Literal["card"] = "card"


@attrs.define
class Transfer:
    iban: str
    order: Order | None = None
    kind: Literal["transfer", "wire"] = "transfer"


class Cash(TypedDict):
    kind: Literal["cash"]
    cents: int


class Voucher(pydantic.BaseModel):
    code: str
    kind: Literal["voucher"] = "voucher"


@dataclass
class Payment:
    by: Card | Transfer | Cash | Voucher
    parts: list[Payment] = field(default_factory=list)
    rest: dict[str, Card | Transfer] = field(default_factory=dict)
    at: Path | None = None


class Booking(TypedDict):
    payment: Payment


@dataclass
class Box(Generic[T]):
    content: T


@dataclass
class OtherCard:
    name: str
    kind: Literal["card", "other"] = "other"


@dataclass
class Untagged:
    number: str


@attrs.define
class Private:
    name: str
    _secret: str = ""


@dataclass
class Strict:
    key: str

    def __post_init__(self) -> None:
        if self.key != "known":
            raise KeyError(self.key)


@dataclass
class WithComplex:
    number: complex
