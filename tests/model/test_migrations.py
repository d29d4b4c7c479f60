"""The plan of migrations: what is missing, in order, and nothing that was changed."""

from __future__ import annotations

import pytest

from conveyor.errors import SchemaError, StoreError
from conveyor.model.migrations import Migration, plan

STEPS = tuple(Migration(n, f"step-{n}", f"create table t{n} (a)", f"drop table t{n}") for n in (1, 2, 3))
APPLIED = {step.version: step.checksum for step in STEPS}


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_what_is_missing_is_planned_in_order(count: int) -> None:
    applied = {step.version: step.checksum for step in STEPS[:count]}
    assert plan(applied, STEPS) == STEPS[count:]


def test_a_hole_is_filled() -> None:
    applied = {1: STEPS[0].checksum, 3: STEPS[2].checksum}
    assert plan(applied, STEPS) == (STEPS[1],)


def test_no_steps_are_no_plan() -> None:
    assert plan({}, ()) == ()


def test_a_store_migrated_by_a_newer_one_is_refused() -> None:
    with pytest.raises(SchemaError, match="upgrade conveyor") as caught:
        plan(APPLIED, STEPS[:2])
    assert (caught.value.found, caught.value.wanted) == (3, 2)


def test_a_migrated_store_without_steps_is_newer() -> None:
    with pytest.raises(SchemaError):
        plan(APPLIED, ())


def test_a_step_changed_after_it_was_applied_is_refused_by_name() -> None:
    changed = (STEPS[0], Migration(2, "step-2", "create table other (a)", ""), STEPS[2])
    with pytest.raises(StoreError, match=r"migration 2 \(step-2\) was changed"):
        plan(APPLIED, changed)


def test_the_checksum_is_of_the_way_up_alone() -> None:
    step = STEPS[0]
    assert Migration(9, "renamed", step.up, "").checksum == step.checksum
    assert Migration(1, step.name, step.up + " ", step.down).checksum != step.checksum


def test_a_schema_error_says_what_to_do() -> None:
    assert "conveyor store migrate" in str(SchemaError(found=1, wanted=2))
