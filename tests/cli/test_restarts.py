"""When a worker process that ended by itself is started again."""

from __future__ import annotations

import signal

import pytest

from conveyor._cli.worker.child import exit_words
from conveyor._cli.worker.forwarding import Forwarding
from conveyor._cli.worker.restarts import HEALTHY_SECONDS, Restarts


def test_the_wait_doubles_while_it_dies_early_and_then_there_is_an_end() -> None:
    restarts = Restarts()
    assert [restarts.wait_seconds(1, 0.1) for _ in range(5)] == [0.5, 1.0, 2.0, 4.0, None]


def test_a_life_of_some_length_begins_the_count_again() -> None:
    restarts = Restarts()
    early = [restarts.wait_seconds(-signal.SIGSEGV, 0.1) for _ in range(4)]
    assert early[-1] == 4.0
    assert restarts.wait_seconds(-signal.SIGKILL, HEALTHY_SECONDS) == 0.5
    assert restarts.wait_seconds(1, 0.1) == 1.0


def test_a_process_that_has_run_its_jobs_is_replaced_at_once_however_often() -> None:
    restarts = Restarts()
    assert [restarts.wait_seconds(0, 0.1) for _ in range(20)] == [0.0] * 20


@pytest.mark.parametrize("code", [2, 6])
def test_what_a_restart_does_not_mend_is_not_restarted(code: int) -> None:
    assert Restarts().wait_seconds(code, 100) is None


def test_an_end_in_words() -> None:
    assert exit_words(-signal.SIGSEGV) == "was ended by SIGSEGV"
    assert exit_words(-250) == "was ended by signal 250"


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, -signal.SIGTERM, 130], 0),  # told to stop before they were up
        ([0, 4, 1], 4),
        ([-signal.SIGKILL], 1),
    ],
)
def test_the_exit_code_is_that_of_the_first_child_that_did_not_stop_as_told(codes: list[int], expected: int) -> None:
    forwarding = Forwarding(is_talking=False)
    assert forwarding.exit_code(codes) == expected
    forwarding.count = 2
    assert forwarding.exit_code(codes) == 130
