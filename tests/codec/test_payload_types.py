"""What may be sent: every type comes back as it was, alone, in lists, in dicts and as an option; others are refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from inspect import Parameter, Signature
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
import pytest

from conveyor.codec import ArgumentsCodec, JsonCodec, encode_json
from conveyor.codec.type_forms import TypeReader
from conveyor.errors import ConfigurationError, PayloadError
from tests.codec.classes import (
    Address,
    Booking,
    Box,
    Card,
    Cash,
    Cat,
    Colour,
    Customer,
    Dog,
    Home,
    Level,
    Line,
    Model,
    Order,
    OtherCard,
    Payment,
    Point,
    Private,
    Profile,
    Size,
    Strict,
    Transfer,
    Untagged,
    Voucher,
    WithComplex,
    WithModel,
)

ORDER: Final = Order([Line("pen", 2), Line("ink")], tags={"new"})
PAYMENT: Final = Payment(
    Transfer("DE1", ORDER, kind="wire"),
    [Payment(Card("42")), Payment({"kind": "cash", "cents": 5}), Payment(Voucher(code="free"), at=Path("a/b"))],
    {"left": Card("1")},
)
VALUES: Final[list[tuple[Any, Any]]] = [
    (int, 2**63),
    (float, 1.5),
    (str, "ä\u2028"),
    (bool, True),
    (bytes, b"\x00\xff"),
    (Decimal, Decimal("1.10")),
    (UUID, UUID(int=7)),
    (datetime, datetime(2026, 1, 2, 3, 4, 5, 6, UTC)),
    (datetime, datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001 - it stays without a zone
    (date, date(2026, 1, 2)),
    (time, time(1, 2, 3)),
    (timedelta, timedelta(days=-1, microseconds=1)),
    (Colour, Colour.RED),
    (Level, Level.HIGH),
    (Size, Size.SMALL),
    (Literal["a", 1], 1),
    (Path, Path("a/b.csv")),
    (PurePosixPath, PurePosixPath("/a")),
    (tuple[int, str], (1, "a")),
    (frozenset[int], frozenset({1, 2})),
    (Sequence[date], [date(2026, 1, 2)]),
    (Mapping[int, Colour], {1: Colour.BLUE}),
    (int | str, "a"),
    (Annotated[int, msgspec.Meta(ge=1)], 1),
    (Any, {"any": [1, None]}),
    (object, {"any": [1, None]}),
    (Order, ORDER),
    (Customer, Customer(Address("High Street", "N1"), [ORDER])),
    (Point, Point(1, 2)),
    (Profile, {"name": "ada"}),
    (Box[Order], Box(ORDER)),
    (Cat | Dog, Dog("rex")),
    (Home, Home([Cat(), Dog("rex")], Path("x"))),
    (Model, Model(name="a", howMany=2, inner=[Model(name="b")])),
    (WithModel, WithModel(Model(name="a"), Path("x"))),
    (Card | Transfer, Card("42")),
    (Transfer | Cash | Voucher, {"kind": "cash", "cents": 5}),
    (Payment, PAYMENT),
    (Booking, {"payment": PAYMENT}),
]
NAMES: Final = [f"{number}-{getattr(hint, '__name__', hint)}" for number, (hint, _) in enumerate(VALUES)]


def taking(**hints: Any) -> Callable[..., Any]:
    """Return a function with parameters of these types."""

    async def function(**_: Any) -> None: ...

    parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in hints]
    function.__signature__ = Signature(parameters)  # type: ignore[attr-defined]  # the way to have any signature
    function.__annotations__ = hints
    return function


@pytest.mark.parametrize(("hint", "value"), VALUES, ids=NAMES)
def test_an_argument_comes_back_as_it_was(hint: Any, value: Any) -> None:
    codec = ArgumentsCodec(taking(one=hint, many=list[hint], named=dict[str, hint], none=hint | None), "f")
    given = (value, [value, value], {"a b": value}, None)
    positional, keywords = codec.decode(codec.encode(given, {}), 1)
    assert positional == given
    assert keywords == {}
    assert [type(one) for one in positional[1]] == [type(value)] * 2


@pytest.mark.parametrize(("hint", "value"), VALUES, ids=NAMES)
def test_a_result_comes_back_as_it_was(hint: Any, value: Any) -> None:
    codec = JsonCodec()
    assert codec.decoder(hint)(codec.encode(value)) == value
    assert codec.decoder(list[hint])(codec.encode([value])) == [value]


@pytest.mark.parametrize(
    ("hint", "reason"),
    [
        (complex, "complex"),
        (list[Callable[[], int]], "Callable"),
        (WithComplex, "complex"),
        (type, "type"),
        (Card | Untagged, r"cannot be told apart in JSON: give each .* Literal\['card'\]"),
        (Card | OtherCard, "cannot be told apart"),
        (list[Order | Untagged], "cannot be told apart"),
        (Payment | complex, "complex|cannot be told apart"),
        (Card | Transfer | str, "cannot be told apart"),
        (datetime | str, "cannot be told apart"),
        (Private, "private field '_secret'"),
        (Box[Private], "private field '_secret'"),
    ],
)
def test_a_type_that_cannot_be_sent_is_refused_with_its_parameter(hint: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"handler 'f' takes odd: .*cannot be sent as JSON: .*({reason})"):
        ArgumentsCodec(taking(fine=int, odd=hint), "f")
    with pytest.raises(ConfigurationError, match=reason):
        JsonCodec().decoder(hint)


MISFITS: Final[list[tuple[Any, Any, str, str]]] = [
    (Order, {"lines": [{"sku": "a"}, {"sku": 5}]}, "$.one.lines[1].sku", "Expected `str`, got `int`"),
    (Order, {"lines": [{}]}, "$.one.lines[0]", "missing required field `sku`"),
    (Colour, "green", "$.one", "Invalid enum value 'green'"),
    (UUID, "7", "$.one", "Invalid UUID"),
    (list[Annotated[int, msgspec.Meta(ge=1)]], [1, 0], "$.one[1]", ">= 1"),
    (Path, 5, "$.one", "Expected a path as `str`, got `int`"),
    (Cat | Dog, {"type": "Cow"}, "$.one.type", "Invalid value 'Cow'"),
    (Home, {"pets": [], "path": 1}, "$.one.path", "Expected a path"),
    (Home, {"pets": [], "garden": 1}, "$.one", "unknown field `garden`"),
    (Model, {"name": "a", "howMany": -1}, "$.one.howMany", "greater than or equal to 0"),
    (WithModel, {"model": {"name": 5}, "path": "a"}, "$.one.model.name", "valid string"),
    (Card | Transfer, {"kind": "card"}, "$.one", "missing required field `number`"),
    (Payment, {}, "$.one.by", "required field missing"),
    (
        Payment,
        {"by": {"kind": "card", "number": "1"}, "parts": [{"by": 5}]},
        "$.one.parts[0].by",
        "`object`, got `int`",
    ),
    (Strict, {"key": "other"}, "$", "KeyError: 'other'"),
    (Payment, [], "$.one", "Expected `object`, got `list`"),
    (Booking, [], "$.one", "Expected `object`, got `list`"),
    (Card | Transfer, {"number": "42"}, "$.one", "`kind` is missing, .* one of 'card', 'transfer', 'wire'"),
    (Card | Transfer, {"kind": ["card"]}, "$.one", "`kind` is"),
    (Card | Transfer, "card", "$.one", "Expected `object`, got `str`"),
    (list[Card | Transfer], {"kind": "card"}, "$.one", "Expected `array`, got `dict`"),
    (Payment, {"by": {"kind": "wire", "iban": 5}}, "$.one.by.iban", "Expected `str`, got `int`"),
    (
        Payment,
        {"by": {"kind": "wire", "iban": "x", "order": {"lines": [{"sku": 5}]}}},
        "$.one.by.order.lines[0].sku",
        "Expected `str`, got `int`",
    ),
    (Payment, {"by": {"kind": "voucher", "code": 5}}, "$.one.by.code", "valid string"),
]


@pytest.mark.parametrize(("hint", "value", "path", "reason"), MISFITS)
def test_a_value_that_does_not_fit_is_refused_with_its_path(hint: Any, value: Any, path: str, reason: str) -> None:
    codec = ArgumentsCodec(taking(one=hint), "f")
    with pytest.raises(PayloadError, match=reason) as caught:
        codec.encode((value,), {})
    assert (caught.value.path, caught.value.direction) == (path, "arguments")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (float("nan"), "$"),
        ({"a": [1.0, float("inf")]}, "$.a[1]"),
        ([None, {"a b": -float("inf")}], "$[1]['a b']"),
        (Box([Order([Line("a", float("nan"))])]), "$.content[0].lines[0].count"),  # type: ignore[arg-type]
        (Dog(float("nan")), "$.name"),  # type: ignore[arg-type]
        ([2**70, float("nan")], "$[1]"),
        ({"a": object()}, "$.a"),
        (Customer(Address("a"), [Order([Line({(1, 2): 3})])]), "$.orders[0].lines[0].sku"),  # type: ignore[arg-type]
        ({"a": "\ud800"}, "$.a"),
    ],
)
def test_a_value_without_json_form_is_refused_with_its_path(value: object, path: str) -> None:
    with pytest.raises(PayloadError) as caught:
        encode_json(value)
    assert caught.value.path == path
    with pytest.raises(PayloadError) as caught:
        ArgumentsCodec(taking(one=Any), "f").encode((value,), {})
    assert caught.value.path == f"$.one{path.removeprefix('$')}"


@pytest.mark.parametrize("value", [None, "null", [None, 2**70], {"null": 1.5}, [b"\xcb\x7f\xf8", None]])
def test_a_null_that_was_meant_is_written(value: object) -> None:
    assert b"null" in encode_json(value) or isinstance(value, str)


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(PayloadError, match="recursion"):
        encode_json(endless)


def test_a_payload_never_says_what_to_import() -> None:
    codec = ArgumentsCodec(taking(one=Any), "f")
    odd = {"__class__": "os.system", "type": "pickle", "$type": "subprocess:run"}
    assert codec.decode(codec.encode((odd,), {}), 1) == ((odd,), {})


@pytest.mark.parametrize("hint", [str, list[Order], Customer | None, Cat | Dog, Home, WithModel, Profile, Point])
def test_what_msgspec_reads_is_left_to_it(hint: Any) -> None:
    assert TypeReader().readable(hint) is hint
    assert TypeReader().readable(Payment) is not Payment


def test_pydantic_is_not_imported_for_those_who_do_not_use_it() -> None:
    program = (
        "from pathlib import Path; from conveyor.codec import JsonCodec, ArgumentsCodec, encode_json\n"
        "def f(a: Path, b: list[int] | None): ...\n"
        "codec = ArgumentsCodec(f, 'f'); codec.decode(codec.encode((Path('a'), [1]), {}), 1)\n"
        "import sys; print('pydantic' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
