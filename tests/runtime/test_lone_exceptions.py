"""What leaves the task groups of workers: one failure as itself, several as a group."""

from __future__ import annotations

import anyio
import pytest

from conveyor._runtime.lifecycle import lone_exceptions
from conveyor.errors import StoreError, StoreUnavailableError

pytestmark = pytest.mark.anyio


async def _fail(error: Exception, everyone: anyio.Event) -> None:
    await everyone.wait()
    raise error


async def _fail_together(*errors: Exception) -> None:
    everyone = anyio.Event()
    async with lone_exceptions(), anyio.create_task_group() as outer:
        for error in errors:
            outer.start_soon(_in_a_group_of_its_own, error, everyone)
        await anyio.wait_all_tasks_blocked()
        everyone.set()


async def _in_a_group_of_its_own(error: Exception, everyone: anyio.Event) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_fail, error, everyone)


async def test_one_failure_leaves_its_groups_as_itself() -> None:
    error = ValueError("alone")
    with pytest.raises(ValueError, match="alone") as caught:
        await _fail_together(error)
    assert caught.value is error


async def test_one_refusal_of_a_store_that_several_tasks_met_leaves_once() -> None:
    with pytest.raises(StoreError, match="the file is no database"):
        await _fail_together(StoreError("the file is no database"), StoreError("the file is no database"))


@pytest.mark.parametrize(
    "errors",
    [
        (StoreError("the file is no database"), StoreError("the disk is gone")),
        (StoreError("upgrade"), StoreUnavailableError("upgrade")),
        (ValueError("alike"), ValueError("alike")),
    ],
)
async def test_failures_of_several_causes_stay_together(errors: tuple[Exception, ...]) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await _fail_together(*errors)
    found = {id(leaf) for group in caught.value.exceptions for leaf in group.exceptions}
    assert found == {id(error) for error in errors}


async def test_a_group_that_a_user_raised_keeps_its_shape() -> None:
    with pytest.raises(ExceptionGroup, match="mine"):
        await _fail_together(ExceptionGroup("mine", [ValueError("one")]))
