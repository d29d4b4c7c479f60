"""The kit of buffer storages is tested: it fails those that have a fault, by the test that names it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from conveyor import Conveyor
from conveyor.testing.clocks import ManualClock
from conveyor.testing.conformance.buffer_storage import BufferStorageConformance
from conveyor.testing.conformance.storage_kit import add_buffers
from conveyor.testing.faults import FaultKind
from tests.conformance.broken.storages import (
    NotRenewed,
    RemovesThenAdds,
    SelectsThenDeletes,
    TakenForGood,
    TooYoung,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from conveyor.testing.conformance.storage_kit import MakeStorage

    Check = Callable[..., Awaitable[None]]

pytestmark = pytest.mark.anyio

KIT = BufferStorageConformance()
BY_AGE = {"triggers": {"max_age": timedelta(seconds=30)}, "seconds": 30}


async def ask(check: Check, make_storage: MakeStorage, **more: Any) -> None:
    """Run a test of the kit that takes an app over a storage."""
    clock, storage = ManualClock(), make_storage()
    app = Conveyor("memory://", buffer_storage=storage, clock=clock)
    add_buffers(app)
    given = {"app": app, "storage": storage, "clock": clock, "make_storage": make_storage, "store_url": "memory://"}
    wanted = check.__code__.co_varnames[: check.__code__.co_argcount]
    await check(**{name: value for name, value in (given | more).items() if name in wanted})


@pytest.mark.parametrize(
    ("fault", "check", "more"),
    [
        (SelectsThenDeletes, KIT.test_flushes_at_once_are_given_each_job_once, {}),
        (SelectsThenDeletes, KIT.test_what_is_added_while_flushes_go_on_is_reduced_once, {}),
        (TakenForGood, KIT.test_what_a_dead_flush_took_is_flushed_by_the_next, {}),
        (TakenForGood, KIT.test_wherever_a_flush_dies_each_job_is_done_once, {"kind": FaultKind.LOSE_ANSWER}),
        (RemovesThenAdds, KIT.test_wherever_a_flush_dies_each_job_is_done_once, {"kind": FaultKind.FAIL_BEFORE}),
        (NotRenewed, KIT.test_a_take_is_renewed_by_its_token, {}),
        (TooYoung, KIT.test_a_trigger_flushes_when_its_time_has_come, BY_AGE),
    ],
)
async def test_the_kit_catches_the_fault(fault: MakeStorage, check: Check, more: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        await ask(check, fault, **more)
