"""The table of states and commands is closed, and its ends are ends."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conveyor.errors import InvalidJobStateError
from conveyor.model.states import (
    EDITS,
    LIVE_STATES,
    OPERATOR_COMMANDS,
    SETTLED_STATES,
    TRANSITIONS,
    Command,
    JobState,
    legal_commands,
    legal_states,
    transition,
)

CELLS = [(state, command) for state in JobState for command in Command]


@pytest.mark.parametrize(("state", "command"), CELLS)
def test_every_cell_is_a_transition_or_a_refusal(state: JobState, command: Command) -> None:
    if (state, command) in TRANSITIONS:
        assert transition("a", state, command) is TRANSITIONS[state, command]
        return
    with pytest.raises(InvalidJobStateError) as caught:
        transition("a", state, command)
    assert (caught.value.job_id, caught.value.state, caught.value.command) == ("a", state, command)
    assert set(caught.value.allowed) == legal_commands(state) & (OPERATOR_COMMANDS | EDITS)


def test_states_are_live_or_settled() -> None:
    assert set(JobState) == LIVE_STATES | SETTLED_STATES
    assert not LIVE_STATES & SETTLED_STATES
    assert {state for state in JobState if state.is_settled} == SETTLED_STATES


@pytest.mark.parametrize("state", sorted(SETTLED_STATES))
def test_settled_states_are_left_by_an_explicit_rerun_or_removal_only(state: JobState) -> None:
    assert legal_commands(state) == {Command.RERUN, Command.REMOVE}


def test_every_state_but_active_can_be_removed() -> None:
    assert legal_states(Command.REMOVE) == set(JobState) - {JobState.ACTIVE}


def test_every_live_state_can_be_cancelled() -> None:
    assert legal_states(Command.CANCEL) == LIVE_STATES


def test_only_a_waiting_job_is_fetched() -> None:
    assert legal_states(Command.FETCH) == {JobState.WAITING}


@pytest.mark.parametrize(
    "command",
    [
        Command.COMPLETE,
        Command.FAIL,
        Command.RETRY,
        Command.DELAY,
        Command.STOP,
        Command.RELEASE,
        Command.EXTEND,
        Command.REPORT,
    ],
)
def test_a_run_writes_to_an_active_job_only(command: Command) -> None:
    assert legal_states(command) == {JobState.ACTIVE}


@pytest.mark.parametrize("command", list(Command))
def test_every_command_is_legal_somewhere(command: Command) -> None:
    assert legal_states(command)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(list(Command)), max_size=20))
def test_no_run_of_commands_leaves_the_table(commands: list[Command]) -> None:
    state: JobState | None = JobState.WAITING
    for command in commands:
        if state is None:
            return
        before = state
        try:
            state = transition("a", state, command)
        except InvalidJobStateError:
            continue
        if before.is_settled:
            assert command in (Command.RERUN, Command.REMOVE)
        assert state is None or state in JobState


def test_a_refusal_says_what_is_allowed() -> None:
    with pytest.raises(InvalidJobStateError, match=r"'a' is completed.*'cancel'.*allowed now: remove, rerun"):
        transition("a", JobState.COMPLETED, Command.CANCEL)
