"""Fingerprints of errors: what belongs together has the same, what does not has not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conveyor.errors import ConfigurationError
from conveyor.model.error_groups import ErrorGroup, cursor_after, fingerprint, parse_cursor
from conveyor.model.job import ErrorInfo, JobData, error_info
from conveyor.model.locks import LockToken
from conveyor.model.options import JobOptions
from conveyor.model.outcomes import Cancel, Failed, Retry
from conveyor.model.settlement import as_discarded, settle, settle_stalled
from conveyor.model.states import JobState

START = datetime(2026, 1, 1, tzinfo=UTC)
INNER = '  File "/x/conveyor/_runtime/executor.py", line 7, in run\n    await call()\n'
LIBRARY = '  File "/x/.venv/lib/python3.13/site-packages/client/api.py", line 99, in get\n    raise\n'


def traceback(*frames: str, folder: str = "/srv/1/", shift: int = 0, library: str = "") -> str:
    own = "".join(f'  File "{folder}{frame}.py", line {10 + shift}, in {frame}\n    go()\n' for frame in frames)
    return f"Traceback (most recent call last):\n{INNER}{own}{library}ValueError: it broke"


def of(message: str = "", trace: str = "", *, kind: str = "ValueError", queue: str = "shop", name: str = "pack") -> str:
    return fingerprint(ErrorInfo(kind, message, trace), queue, name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("order 17 is gone", "order 4711 is gone"),
        ("no user 'ada'", "no user 'grace hopper'"),
        ('no key "a.b"', 'no key "c"'),
        ("can't open 'a.txt'", "can't open 'b.txt'"),
        ("timed out after 3.5s", "timed out after 10s"),
        ("cannot reach 10.0.0.1:5432", "cannot reach 10.0.0.12:5433"),
        ("no job 01a20167-9eda-76e4-ab6e-65b3cfd5ae96", "no job 01a20168-1111-76e4-ab6e-65b3cfd5ae97"),
        ("at 2026-01-31T12:00:00+00:00", "at 2027-11-01T00:00:01+00:00"),
    ],
)
def test_messages_that_differ_in_what_they_speak_of_are_alike(one: str, other: str) -> None:
    assert of(one) == of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (of("no order"), of("no customer")),
        (of(kind="ValueError"), of(kind="KeyError")),
        (of(queue="shop"), of(queue="store")),
        (of(name="pack"), of(name="send")),
        (of(queue="a", name="bc"), of(queue="ab", name="c")),
        (of(trace=traceback("pack", "weigh")), of(trace=traceback("pack", "label"))),
        (of(trace=traceback("pack", "weigh")), of(trace=traceback("send", "weigh"))),
    ],
)
def test_failures_of_another_kind_or_place_are_not_alike(one: str, other: str) -> None:
    assert one != other


def test_lines_folders_libraries_and_what_called_are_left_out() -> None:
    plain = of(trace=traceback("weigh", "look_up", "read"))
    assert plain == of(trace=traceback("weigh", "look_up", "read", shift=5))
    assert plain == of(trace=traceback("weigh", "look_up", "read", folder="C:\\app\\"))
    assert plain == of(trace=traceback("weigh", "look_up", "read", library=LIBRARY))
    assert plain == of(trace=traceback("pack", "weigh", "look_up", "read"))


def test_of_errors_from_errors_the_last_counts() -> None:
    cause = traceback("look_up") + "\n\nDuring handling of the above exception, another exception occurred:\n\n"
    assert of(trace=cause + traceback("pack")) == of(trace=traceback("pack"))


def test_the_frames_of_a_real_traceback_are_found() -> None:
    def weigh(kilos: int) -> None:
        raise ValueError(f"{kilos} kg")

    def look(kilos: int) -> None:
        raise ValueError(f"{kilos} kg")

    prints: list[str] = []
    for function, kilos in ((weigh, 1), (weigh, 2), (look, 3)):
        with pytest.raises(ValueError, match="kg") as caught:
            function(kilos)
        prints.append(fingerprint(error_info(caught.value), "shop", "pack"))
    assert prints[0] == prints[1] != prints[2]


@given(st.text(), st.text())
def test_any_text_has_a_fingerprint(message: str, trace: str) -> None:
    text = ErrorInfo(
        "ValueError", message.encode("utf-8", "replace").decode(), trace.encode("utf-8", "replace").decode()
    )
    assert len(fingerprint(text, "shop", "pack")) == 16


@pytest.mark.timeout(10)
def test_a_long_message_takes_no_long_time() -> None:
    for text in ("a" * 2_000, "'" * 2_000, "a'" * 1_000, "1." * 1_000):
        of(text, 'File "' * 2_000)


def running(attempts: int = 1) -> JobData:
    return JobData(
        "id", "shop", "pack", b"{}", JobOptions(attempts=attempts), JobState.ACTIVE, 0, 0, 0, START, START, START,
        token=LockToken("s", 1),
    )  # fmt: skip


def test_a_run_that_fails_its_job_carries_the_fingerprint_and_no_other() -> None:
    def print_of(outcome: Failed | Retry | Cancel, attempts: int = 1) -> str:
        settlement = settle(running(attempts), outcome, result=None, jitter=0.5)
        return "" if settlement.error is None else settlement.error.fingerprint

    error = ValueError("too small")
    assert print_of(Failed(error)) == of("too small", error_info(error).traceback)
    assert print_of(Failed(error, retry=False), attempts=5) == print_of(Failed(error))
    assert print_of(Retry(reason="later")) == of("later", kind="Retry")
    assert print_of(Failed(error), attempts=2) == ""
    assert print_of(Cancel("no more")) == ""


def test_a_job_that_may_not_be_tried_again_or_stalled_too_often_has_one_too() -> None:
    again = settle(running(2), Failed(ValueError("too small")), result=None, jitter=0.5)
    failed = as_discarded(again, JobOptions()).error
    assert failed is not None
    assert failed.fingerprint == of("too small", failed.traceback)
    stalled = settle_stalled(running(), RuntimeError("killed"), 0).error
    assert stalled is not None
    assert stalled.fingerprint
    back = settle_stalled(running(), RuntimeError("killed"), 1).error
    assert back is not None
    assert not back.fingerprint


def test_a_cursor_says_where_a_page_ended() -> None:
    at = START + timedelta(microseconds=123_457)
    group = ErrorGroup("abc-1", "shop", "pack", "ValueError", "", 1, START, at, "id")
    assert parse_cursor(cursor_after(group)) == (at, "abc-1")


@pytest.mark.parametrize("cursor", ["", "abc", "1.5-abc", "9" * 40])
def test_a_cursor_of_something_else_is_refused(cursor: str) -> None:
    with pytest.raises(ConfigurationError, match="page of error groups"):
        parse_cursor(cursor)
