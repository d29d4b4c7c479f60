"""What is counted of rows stays small, whatever they have in them."""

from __future__ import annotations

from conveyor.model.batches.rows import MOST_EXAMPLES, MOST_KINDS, RowPreview, RowTally
from conveyor.model.batches.values import RowError, RowFault, RowOutcome


def test_outcomes_differences_and_errors_are_counted() -> None:
    tally = RowTally()
    tally.add(1, RowPreview(RowOutcome.CREATED))
    tally.add(2, RowPreview(RowOutcome.UPDATED, {"price": (1, 2)}))
    tally.add_error(RowError(3, "required", "must not be empty", "sku"))
    tally.add_error(RowError(4, "failed", "no"))
    assert tally.to_json() == {
        "counts": {"created": 1, "updated": 1, "failed": 2},
        "differences": [{"row": 2, "outcome": "updated", "changes": {"price": [1, 2]}}],
        "errors": {"sku": {"required": 1}, "": {"failed": 1}},
        "first_errors": [
            {"row": 3, "code": "required", "column": "sku", "message": "must not be empty"},
            {"row": 4, "code": "failed", "column": None, "message": "no"},
        ],
    }


def test_each_wrong_column_of_a_row_is_told_and_the_row_counts_once() -> None:
    tally = RowTally()
    tally.add_error(
        RowError(3, "required", "must not be empty", "sku", also=(RowFault("wrong", "no number", "price"),))
    )
    found = tally.to_json()
    assert found["counts"] == {"failed": 1}
    assert found["errors"] == {"sku": {"required": 1}, "price": {"wrong": 1}}
    assert [(example["row"], example["column"]) for example in found["first_errors"]] == [(3, "sku"), (3, "price")]


def test_any_number_of_rows_columns_and_codes_takes_little_room() -> None:
    tally = RowTally()
    for number in range(5000):
        tally.add(number, RowPreview(changes={"price": (0, number)}))
        tally.add_error(RowError(number, f"code-{number}", "wrong", f"column-{number % 700}"))
    found = tally.to_json()
    assert found["counts"] == {"done": 5000, "failed": 5000}
    assert len(found["differences"]) == len(found["first_errors"]) == MOST_EXAMPLES
    assert sum(len(codes) for codes in found["errors"].values()) <= 2 * MOST_KINDS + 1
    assert sum(count for codes in found["errors"].values() for count in codes.values()) == 5000
