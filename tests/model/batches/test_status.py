"""The table of what commands make of batch jobs."""

from __future__ import annotations

from collections import deque

import pytest

from conveyor.errors import InvalidBatchStatusError
from conveyor.model.batches.status import (
    ENDED_STATUSES,
    STOPPING_STATUSES,
    TRANSITIONS,
    WORKED_STATUSES,
    BatchCommand,
    BatchStatus,
    legal_commands,
    next_status,
)


def reached_from(status: BatchStatus) -> set[BatchStatus]:
    """Return the statuses that some commands lead to."""
    found: set[BatchStatus] = set()
    todo = deque([status])
    while todo:
        for after in TRANSITIONS[todo.popleft()].values():
            if after not in found:
                found.add(after)
                todo.append(after)
    return found


def test_every_status_has_a_row() -> None:
    assert set(TRANSITIONS) == set(BatchStatus)


def test_every_status_can_be_reached() -> None:
    assert reached_from(BatchStatus.CREATED) | {BatchStatus.CREATED} == set(BatchStatus)


def test_every_status_leads_to_an_end() -> None:
    for status in set(BatchStatus) - ENDED_STATUSES:
        assert reached_from(status) & ENDED_STATUSES, status


@pytest.mark.parametrize("status", sorted(set(BatchStatus) - ENDED_STATUSES))
def test_whatever_has_not_ended_can_be_cancelled_or_is_being_cancelled(status: BatchStatus) -> None:
    assert BatchCommand.CANCEL in legal_commands(status) or status is BatchStatus.CANCELLING


@pytest.mark.parametrize("status", sorted(STOPPING_STATUSES))
def test_a_run_that_is_asked_to_stop_can(status: BatchStatus) -> None:
    assert BatchCommand.STOP in legal_commands(status)
    assert next_status("one", status, BatchCommand.STOP) not in WORKED_STATUSES


@pytest.mark.parametrize("status", sorted({BatchStatus.CANCELLED, BatchStatus.COMPLETED}))
def test_what_is_done_may_only_be_removed(status: BatchStatus) -> None:
    with pytest.raises(InvalidBatchStatusError, match="allowed now: remove") as caught:
        next_status("one", status, BatchCommand.CANCEL)
    assert (caught.value.batch_id, caught.value.status, caught.value.allowed) == ("one", status, ("remove",))


def test_a_refusal_says_what_is_allowed() -> None:
    with pytest.raises(InvalidBatchStatusError, match="is paused, so 'confirm' is not allowed") as caught:
        next_status("one", BatchStatus.PAUSED, BatchCommand.CONFIRM)
    assert caught.value.allowed == ("cancel", "resume")
