"""Row classes: which header is which column, what each cell becomes, and who is blamed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from attrs import field, frozen

from conveyor.codec.tables import RowLayout, TableForm, TableReader, TableRow, column, make_template
from conveyor.errors import BadFileError, BadRowError, ConfigurationError
from tests.codec.tables.classes import Colour, Everything, Product, Size
from tests.codec.tables.feeding import read_all

PRODUCTS = RowLayout(Product)
EVERYTHING = RowLayout(Everything)


def row_of(**values: Any) -> TableRow:
    return TableRow(1, values, "", 0)


@pytest.mark.parametrize(
    "header", ["sku,name,price", "SKU *,Name*,Preis", "Article-No, name ,PRICE", "article_no,name,price"]
)
def test_columns_are_found_by_name_and_alias(header: str) -> None:
    (row,) = read_all(TableReader(layout=PRODUCTS), f"{header}\na-1,Anvil,12.50\n".encode())
    assert PRODUCTS.read(row) == Product("A-1", "Anvil", Decimal("12.50"))


def test_an_unknown_column_is_told_with_one_that_may_be_meant() -> None:
    with pytest.raises(BadFileError, match="did you mean 'price'"):
        PRODUCTS.check_columns(["sku", "name", "price", "prise"])


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("text", " x ", " x "),
        ("text", "  ", "  "),
        ("whole", " -12 ", -12),
        ("whole", "+3", 3),
        ("ratio", "1e3", 1000.0),
        ("ratio", ".5", 0.5),
        ("price", "12.50", Decimal("12.50")),
        ("is_new", "Yes", True),
        ("is_new", "0", False),
        ("day", "2026-02-28", date(2026, 2, 28)),
        ("at", "2026-02-28T10:00:00Z", datetime(2026, 2, 28, 10, tzinfo=UTC)),
        ("at", "2026-02-28 10:00", datetime(2026, 2, 28, 10)),  # noqa: DTZ001 - as it stands in the file
        ("id", "00000000-0000-0000-0000-00000000000f", UUID(int=15)),
        ("colour", "blue", Colour.BLUE),
        ("colour", "BLUE", Colour.BLUE),
        ("size", "2", Size.LARGE),
        ("kind", "3", 3),
        ("maybe", "7", 7),
        ("maybe", "", None),
        ("maybe", "  ", None),
        ("note", "", None),
        ("whole", "", 0),
    ],
)
def test_a_cell_is_read_by_its_type(name: str, cell: str, value: object) -> None:
    read = getattr(EVERYTHING.read(row_of(**{name: cell})), name)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("whole", "1_000"),
        ("whole", "1.0"),
        ("whole", "٣"),
        ("whole", "x"),
        ("ratio", "nan"),
        ("ratio", "inf"),
        ("ratio", "1e999"),
        ("price", "12,50"),
        ("price", "1e99999999999999999999"),
        ("is_new", "maybe"),
        ("day", "28.2.2026"),
        ("day", "2026-02-30"),
        ("at", "1767225600"),
        ("id", "15"),
        ("colour", "green"),
        ("size", "3"),
        ("kind", "c"),
        ("maybe", "none"),
        ("whole", True),
        ("text", 5),
        ("price", 1.5),
        ("kind", ["a"]),
    ],
)
def test_a_cell_that_does_not_fit_is_blamed_on_its_column(name: str, cell: object) -> None:
    with pytest.raises(BadRowError) as caught:
        EVERYTHING.read(row_of(**{name: cell}))
    assert (caught.value.code, caught.value.column) == ("invalid_value", name)
    assert repr(cell) in caught.value.message


@pytest.mark.parametrize(
    ("cell", "value"), [("12,50", "12.50"), ("12.5", "12.5"), ("1234", "1234"), ("0.125", "0.125")]
)
def test_decimals_have_a_comma_where_cells_are_parted_by_semicolons(cell: str, value: str) -> None:
    assert EVERYTHING.read(row_of(price=cell), has_comma=True).price == Decimal(value)


@pytest.mark.parametrize("cell", ["1.234", "1.234,5", "1.234.567", "1,234,567"])
def test_a_number_that_may_be_two_is_refused(cell: str) -> None:
    with pytest.raises(BadRowError, match="price"):
        EVERYTHING.read(row_of(price=cell), has_comma=True)


@pytest.mark.parametrize(
    ("changed", "code", "blamed"),
    [
        ({"Preis": ""}, "missing_value", "Preis"),
        ({"Preis": "x"}, "invalid_value", "Preis"),
        ({"Preis": "-1"}, "invalid_value", "Preis"),
        ({"name": "x" * 21}, "invalid_value", "name"),
        ({"state": "sold"}, "not_a_choice", "state"),
        ({"name": "A-1"}, "invalid_value", None),
        ({"prise": "1"}, "unknown_column", "prise"),
    ],
)
def test_validators_are_heeded_and_the_column_is_named_as_in_the_file(
    changed: dict[str, str], code: str, blamed: str | None
) -> None:
    values = {"sku": "a-1", "name": "Anvil", "Preis": "3"} | changed
    with pytest.raises(BadRowError) as caught:
        PRODUCTS.read(row_of(**values))
    assert (caught.value.code, caught.value.column) == (code, blamed)
    assert caught.value.message


def faults_of(exc: BadRowError) -> list[tuple[str, str | None]]:
    return [(exc.code, exc.column), *((other.code, other.column) for other in exc.also)]


@pytest.mark.parametrize(
    ("changed", "faults"),
    [
        (
            {"sku": "", "name": "x" * 21, "Preis": "x", "state": "sold", "stock": "y"},
            [
                ("missing_value", "sku"),
                ("invalid_value", "name"),
                ("invalid_value", "Preis"),
                ("not_a_choice", "state"),
                ("invalid_value", "stock"),
            ],
        ),
        ({"name": "x" * 21, "Preis": "-1"}, [("invalid_value", "name"), ("invalid_value", "Preis")]),
        ({"Preis": "-1", "prise": "1"}, [("invalid_value", "Preis"), ("unknown_column", "prise")]),
        ({"sku": "Anvil", "name": "ANVIL", "Preis": "-1"}, [("invalid_value", "Preis")]),
    ],
)
def test_all_wrong_columns_are_named_in_the_order_of_the_file(
    changed: dict[str, str], faults: list[tuple[str, str | None]]
) -> None:
    values = {"sku": "a-1", "name": "Anvil", "Preis": "3"} | changed
    with pytest.raises(BadRowError) as caught:
        PRODUCTS.read(row_of(**values))
    assert faults_of(caught.value) == faults
    (many,) = PRODUCTS.read_many(tuple(values), [tuple(values.values())])
    assert isinstance(many, BadRowError)
    assert faults_of(many) == faults


def long_enough(instance: Any, attribute: Any, value: str) -> None:
    if len(value) <= instance.name:
        raise ValueError("is too short")


def test_a_validator_that_needs_a_column_which_is_wrong_is_not_blamed() -> None:
    @frozen
    class Row:
        name: Any = field(converter=inverse)
        text: str = field(validator=long_enough)
        count: int = 1

    with pytest.raises(BadRowError) as caught:
        RowLayout(Row).read(row_of(name="0", text="t", count="x"))
    assert faults_of(caught.value) == [("invalid_value", "name"), ("invalid_value", "count")]


def test_a_converter_is_given_text_unless_it_says_what_it_takes() -> None:
    product = PRODUCTS.read(row_of(sku="a-1", name="Anvil", price="3", tags="x|y", stock=" 4 "))
    assert (product.sku, product.tags, product.stock) == ("A-1", ("x", "y"), 4)


def inverse(text: Any) -> int:
    return 1 // int(text)


def test_a_converter_that_raises_is_blamed() -> None:
    @frozen
    class Row:
        first: int
        second: Any = field(converter=inverse)

    with pytest.raises(BadRowError, match="ZeroDivisionError") as caught:
        RowLayout(Row).read(row_of(first="1", second="0"))
    assert caught.value.column == "second"


def test_a_row_that_was_not_read_is_bad() -> None:
    (row,) = read_all(TableReader(layout=PRODUCTS), b"sku,name,price\n1\n")
    with pytest.raises(BadRowError, match="ragged_row"):
        PRODUCTS.read(row)


def test_json_values_are_read_as_they_are() -> None:
    data = (
        b'{"whole": 3, "ratio": 1, "price": 1.10, "is_new": true, "maybe": null, "kind": 3, "day": "2026-02-28"}\n'
        b'{"whole": "4"}'
    )
    first, second = (EVERYTHING.read(row) for row in read_all(TableReader(TableForm.JSONL), data))
    assert (first.whole, first.ratio, str(first.price), first.is_new, first.maybe) == (3, 1.0, "1.10", True, None)
    assert (first.kind, first.day, second.whole) == (3, date(2026, 2, 28), 4)


def test_each_row_of_json_lines_has_columns_of_its_own() -> None:
    data = b'{"sku":"a","name":"b","price":1}\n{"sku":"a","name":"b"}\n{"sku":"a","name":"b","price":1,"x":1}'
    codes = []
    for row in read_all(TableReader(TableForm.JSONL, layout=PRODUCTS), data):
        try:
            PRODUCTS.read(row)
        except BadRowError as exc:
            codes.append(exc.code)
    assert codes == ["missing_column", "unknown_column"]


def test_all_that_is_wrong_about_a_row_of_json_lines_is_told() -> None:
    data = b'{"sku":"a","name":"b","price":1}\n{"sku":"","Name":"b","name":"c","colour":"d","stock":"x"}'
    row = read_all(TableReader(TableForm.JSONL, layout=PRODUCTS), data)[1]
    with pytest.raises(BadRowError) as caught:
        PRODUCTS.read(row)
    assert faults_of(caught.value) == [
        ("missing_value", "sku"),
        ("invalid_value", "stock"),
        ("duplicate_column", "name"),
        ("unknown_column", "colour"),
        ("missing_column", "price"),
    ]


class Plain:
    """No class of attrs."""


@frozen
class Nested:
    """A type that no cell holds."""

    tags: list[str]


@frozen
class Twice:
    """Two fields of one name."""

    name: str
    title: str = field(metadata=column(aliases=["Name"]))


@frozen
class Reserved:
    """A name that error files need."""

    error_code: str


@pytest.mark.parametrize(
    ("row_class", "told"),
    [(Plain, "class of attrs"), (Nested, "Nested.tags"), (Twice, "Twice.title"), (Reserved, "conveyor's own")],
)
def test_a_class_that_makes_no_table_is_refused(row_class: type, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        RowLayout(row_class)


@pytest.mark.parametrize("wrong", [{"aliases": "Name"}, {"choices": "ab"}, {"choices": [1]}])
def test_a_column_that_is_told_wrong_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="list of strings"):
        column(**wrong)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_template_is_accepted_back_as_it_is(delimiter: str) -> None:
    template = make_template(PRODUCTS, delimiter=delimiter)
    assert template.splitlines()[0] == delimiter.join(
        ["sku *", "name *", "price *", "tags", "state", "stock", "template_note"]
    )
    with pytest.raises(BadFileError, match="no_rows"):
        read_all(TableReader(layout=PRODUCTS), template.encode())
    filled = (
        template + delimiter.join(["b-2", "Bolt", "1", "", "", "", ""]) + "\r\n" + delimiter.join("cdefgh") + "\r\n"
    )
    first, second = read_all(TableReader(layout=PRODUCTS), filled.encode())
    assert PRODUCTS.read(first) == Product("B-2", "Bolt", Decimal(1))
    assert (first.number, second.error and second.error[0]) == (1, "ragged_row")


def test_a_template_says_what_columns_are_for() -> None:
    lines = make_template(PRODUCTS).splitlines()
    assert "what the shop calls it" in lines[1]
    assert "in euros; a number" in lines[1]
    assert "one of: new, old; may be empty" in lines[1]
    assert lines[2].startswith("A-1,Anvil,12.50,")


def test_a_note_of_somebody_is_no_reason_to_leave_a_row_out() -> None:
    data = b"sku,name,price,template_note\na,b,1,see mail\nc,d,2,\n"
    bad, good = read_all(TableReader(layout=PRODUCTS), data)
    assert bad.error is not None
    assert bad.error[0] == "template_note"
    assert PRODUCTS.read(good).sku == "C"
