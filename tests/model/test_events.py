"""What each step of a job is called."""

from __future__ import annotations

from typing import Final

import pytest

from conveyor.model.events import EventKind, event_kind
from conveyor.model.states import TRANSITIONS, Command, JobState

# What these are called depends on more than the two states; see below.
OF_RUNS: Final = (Command.RETRY, Command.DELAY, Command.RECLAIM)


@pytest.mark.parametrize(
    ("before", "command", "after"),
    [
        (before, command, after)
        for (before, command), after in TRANSITIONS.items()
        if after is not None and after is not before
    ],
)
def test_every_step_to_another_state_has_a_name(before: JobState, command: Command, after: JobState) -> None:
    kind = event_kind(before, after, has_counted=command in OF_RUNS, has_stalled=command is Command.RECLAIM)
    assert kind is not None
    if after.is_settled or after is JobState.ACTIVE:
        assert kind.value == after.value


@pytest.mark.parametrize("state", JobState)
def test_a_step_to_the_same_state_has_none(state: JobState) -> None:
    assert event_kind(state, state) is None


@pytest.mark.parametrize(
    ("after", "has_counted", "has_stalled", "kind"),
    [
        (JobState.WAITING, True, False, EventKind.RETRIED),
        (JobState.DELAYED, True, False, EventKind.RETRIED),
        (JobState.WAITING, False, True, EventKind.STALLED),
        (JobState.WAITING, False, False, EventKind.RELEASED),
        (JobState.DELAYED, False, False, EventKind.DELAYED),
        (JobState.WAITING_CHILDREN, False, False, EventKind.WAITING_CHILDREN),
    ],
)
def test_the_end_of_a_run_is_called_by_what_it_counts_as(
    after: JobState, has_counted: bool, has_stalled: bool, kind: EventKind
) -> None:
    assert event_kind(JobState.ACTIVE, after, has_counted=has_counted, has_stalled=has_stalled) is kind
