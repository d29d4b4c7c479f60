"""What changes and steps make of a batch job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from conveyor.errors import BatchRunLostError, ConveyorInternalError, InvalidBatchStatusError
from conveyor.model.batches.changing import (
    STEPPED_STATUSES,
    added_job,
    batch_matches,
    changed,
    check_removable,
    created,
    creation_digest,
    last_errors,
    stepped,
)
from conveyor.model.batches.status import ENDED_STATUSES, TRANSITIONS, BatchCommand, BatchStatus
from conveyor.model.batches.values import (
    BatchChange,
    BatchFilter,
    BatchJobData,
    BatchStep,
    NewBatchJob,
    RowError,
    RowOutcome,
    StatusChange,
)
from conveyor.model.job import NewJob
from conveyor.model.options import JobOptions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)
RUN = "run-1"
CELLS = [(status, command) for status in BatchStatus for command in BatchCommand]


def job(job_id: str = "j2") -> NewJob:
    """Return a job that works for a batch job."""
    return NewJob(job_id, "batches", "import", b"{}", JobOptions())


def batch(status: BatchStatus = BatchStatus.PROCESSING, **fields: Any) -> BatchJobData:
    """Return a batch job in a status, worked for by job "j1" and the run."""
    made = created(NewBatchJob("b", "import", b"{}", created_by="ann"), job("j1"), NOW)
    return evolve(made, status=status, **{"run": RUN, **fields})


def asked(command: BatchCommand, **fields: Any) -> BatchChange:
    """Return a change with all that its command may need."""
    return BatchChange("c", command, **{"run": RUN, "job": job(), **fields})


def test_a_batch_job_begins_as_created() -> None:
    made = created(NewBatchJob("b", "import", b"{}", created_by="ann", identity="x"), job(), NOW)
    assert (made.status, made.job_id, made.created_at, made.updated_at) == (BatchStatus.CREATED, "j2", NOW, NOW)
    assert made.history == (StatusChange(NOW, None, BatchStatus.CREATED, by="ann"),)
    assert made.entered_at(BatchStatus.CREATED) == NOW


@pytest.mark.parametrize(("status", "command"), CELLS, ids=["-".join(cell) for cell in CELLS])
def test_a_change_goes_where_the_table_says(status: BatchStatus, command: BatchCommand) -> None:
    before = batch(status)
    if command not in TRANSITIONS[status]:
        with pytest.raises(InvalidBatchStatusError):
            changed(before, asked(command), LATER)
        return
    after = changed(before, asked(command, by="bob", reason="so"), LATER)
    assert (after.status, after.revision, after.updated_at) == (TRANSITIONS[status][command], 2, LATER)
    assert after.history == (*before.history, StatusChange(LATER, status, after.status, command, "bob", "so"))


def test_a_change_replaces_what_it_holds_and_keeps_the_rest() -> None:
    before = batch(context=b"1", result=b"2", total=3, error="4")
    assert changed(before, asked(BatchCommand.PAUSE), LATER).error == "4"
    after = changed(before, asked(BatchCommand.FAIL, context=b"a", result=b"b", total=0, error="d"), LATER)
    assert (after.context, after.result, after.total, after.error) == (b"a", b"b", 0, "d")


def test_a_start_begins_a_run_where_the_last_ended() -> None:
    after = changed(batch(done=7), asked(BatchCommand.START, run="run-2"), LATER)
    assert (after.run, after.run_started_at, after.run_started_from) == ("run-2", LATER, 7)


@pytest.mark.parametrize("command", [BatchCommand.COMPLETE, BatchCommand.FAIL, BatchCommand.INTERRUPT])
def test_a_run_that_is_not_the_last_changes_nothing(command: BatchCommand) -> None:
    with pytest.raises(BatchRunLostError):
        changed(batch(), asked(command, run="zombie"), LATER)


def test_a_change_for_another_job_is_refused() -> None:
    change = asked(BatchCommand.START, run="run-2", if_job_id="old")
    with pytest.raises(BatchRunLostError):
        changed(batch(), change, LATER)
    assert changed(batch(), evolve(change, if_job_id="j1"), LATER).run == "run-2"


def test_people_need_no_token() -> None:
    assert changed(batch(), asked(BatchCommand.CANCEL, run=None), LATER).status is BatchStatus.CANCELLING


@pytest.mark.parametrize(
    ("status", "command", "is_added"),
    [
        (BatchStatus.PRE_PROCESSED, BatchCommand.CONFIRM, True),
        (BatchStatus.PAUSED, BatchCommand.RESUME, True),
        (BatchStatus.PAUSING, BatchCommand.RESUME, False),
        (BatchStatus.PROCESSING, BatchCommand.INTERRUPT, True),
        (BatchStatus.CONFIRMED, BatchCommand.CANCEL, False),
    ],
)
def test_a_job_is_added_where_none_works(status: BatchStatus, command: BatchCommand, is_added: bool) -> None:
    change = asked(command)
    after = changed(batch(status), change, LATER)
    assert after.job_id == ("j2" if is_added else "j1")
    assert added_job(after, change) is (change.job if is_added else None)


@pytest.mark.parametrize(
    ("status", "command"), [(BatchStatus.PRE_PROCESSED, BatchCommand.CONFIRM), (BatchStatus.FAILED, BatchCommand.RETRY)]
)
def test_nothing_comes_to_wait_for_a_job_that_is_not_there(status: BatchStatus, command: BatchCommand) -> None:
    with pytest.raises(ConveyorInternalError, match="without a job"):
        changed(batch(status), asked(command, job=None), LATER)


def test_a_run_begins_with_a_token() -> None:
    with pytest.raises(ConveyorInternalError, match="without a run"):
        changed(batch(BatchStatus.CONFIRMED), asked(BatchCommand.START, run=None), LATER)


@pytest.mark.parametrize("command", [BatchCommand.RETRY, BatchCommand.RESTART])
def test_who_begins_anew_has_no_error_and_all_retries(command: BatchCommand) -> None:
    after = changed(batch(BatchStatus.FAILED, error="bad", retries=3, cursor=b"9", done=9), asked(command), LATER)
    assert (after.error, after.retries, after.cursor, after.done) == (None, 0, b"9", 9)


def test_retries_are_counted_and_a_completed_one_has_no_error() -> None:
    after = changed(batch(retries=1), asked(BatchCommand.INTERRUPT, is_retry=True, error="bad"), LATER)
    assert (after.retries, after.error) == (2, "bad")
    assert changed(batch(error="bad"), asked(BatchCommand.COMPLETE), LATER).error is None


def test_a_step_moves_on() -> None:
    before = batch(retries=2, total=10, message="old", result=b"r")
    after = stepped(before, RUN, BatchStep(1, b"5", 5, counts={RowOutcome.DONE: 5}), LATER)
    assert (after.steps, after.cursor, after.done, after.total, after.message) == (1, b"5", 5, 10, None)
    assert (after.counts, after.result, after.retries) == ({RowOutcome.DONE: 5}, b"r", 0)
    assert (after.revision, after.updated_at, after.history) == (2, LATER, before.history)


def test_a_step_that_gets_nowhere_gives_no_new_retries() -> None:
    before = batch(retries=2, cursor=b"5", done=5)
    assert stepped(before, RUN, BatchStep(1, b"5", 5), LATER).retries == 2
    assert stepped(before, RUN, BatchStep(1, b"6", 5), LATER).retries == 0


def test_a_step_that_was_saved_changes_nothing() -> None:
    before = batch(steps=2)
    assert stepped(before, RUN, BatchStep(2, b"5", 5), LATER) is before


@pytest.mark.parametrize("status", sorted(BatchStatus))
def test_only_a_run_that_goes_on_saves_steps(status: BatchStatus) -> None:
    if status in STEPPED_STATUSES:
        assert stepped(batch(status), RUN, BatchStep(1, None, 0), LATER).status is status
        return
    with pytest.raises(BatchRunLostError):
        stepped(batch(status), RUN, BatchStep(1, None, 0), LATER)


def test_a_zombie_saves_no_step() -> None:
    with pytest.raises(BatchRunLostError):
        stepped(batch(run="run-2"), RUN, BatchStep(1, None, 0), LATER)


def test_a_row_has_one_error() -> None:
    first, last = RowError(3, "a", "x"), RowError(3, "b", "y")
    assert last_errors((first, last)) == {3: last}


@pytest.mark.parametrize("status", sorted(BatchStatus))
def test_only_what_has_ended_is_removed(status: BatchStatus) -> None:
    if status in ENDED_STATUSES:
        check_removable(batch(status))
        return
    with pytest.raises(InvalidBatchStatusError, match="remove"):
        check_removable(batch(status))


def test_a_creation_is_known_by_its_id_type_and_context() -> None:
    new = NewBatchJob("b", "import", b"{}")
    assert creation_digest(evolve(new, created_by="ann", dry_run=True)) == creation_digest(new)
    others = [evolve(new, id="c"), evolve(new, batch_type="export"), evolve(new, context=b"[]")]
    assert len({creation_digest(one) for one in (new, *others)}) == 4


@pytest.mark.parametrize(
    "wanted",
    [
        BatchFilter(types=("export",)),
        BatchFilter(statuses=(BatchStatus.FAILED,)),
        BatchFilter(created_by="bob"),
        BatchFilter(parent_id="p"),
        BatchFilter(created_from=LATER),
        BatchFilter(created_before=NOW),
        BatchFilter(id_prefix="c"),
    ],
)
def test_a_filter_leaves_out_what_it_does_not_name(wanted: BatchFilter) -> None:
    assert not batch_matches(batch(), wanted)
    fits = BatchFilter(("import",), (BatchStatus.PROCESSING,), "ann", None, NOW, LATER)
    assert batch_matches(batch(), fits)
    assert batch_matches(batch(), BatchFilter())
