"""Errors in words: each kind has its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conveyor._cli.failures import ExitCode, explain, report
from conveyor.errors import (
    ConfigurationError,
    ConveyorInternalError,
    DuplicateJobError,
    InvalidJobStateError,
    JobNotFoundError,
    SchemaError,
    StoreError,
    StoreUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), ExitCode.USAGE),
        (JobNotFoundError("x"), ExitCode.NOT_FOUND),
        (StoreUnavailableError("x"), ExitCode.STORE_UNREACHABLE),
        (StoreError("x"), ExitCode.STORE_UNREACHABLE),
        (InvalidJobStateError("x", "active", "rerun", ()), ExitCode.REFUSED),
        (DuplicateJobError("x", "x"), ExitCode.REFUSED),
        (SchemaError(1, 2), ExitCode.SCHEMA),
        (ConveyorInternalError("x"), ExitCode.FAILED),
        (ZeroDivisionError("x"), ExitCode.FAILED),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (ExceptionGroup("two", [ValueError("x"), SchemaError(1, 2)]), ExitCode.SCHEMA),
        (BaseExceptionGroup("two", [ValueError("x"), KeyboardInterrupt()]), ExitCode.INTERRUPTED),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: BaseException, code: ExitCode) -> None:
    assert explain(error).code is code


def test_an_error_is_one_line_what_and_one_line_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    report(StoreUnavailableError("the store\nis away"), with_traceback=False)
    what, advice = capsys.readouterr().err.splitlines()
    assert what == "error: the store is away"
    assert advice.startswith("hint: ")


INLINE = """
from conveyor import Conveyor
app = Conveyor("memory://", job_queue="inline")
app.queue("mails")
"""


@pytest.mark.parametrize(
    ("command", "needed_by"),
    [
        (("queues", "pause", "mails"), "pausing"),
        (("jobs", "export"), "counting jobs"),
        (("jobs", "cancel", "--all", "--yes"), "counting jobs"),
        (("store", "stats"), "counting what there is"),
        (("workers", "list"), "listing workers"),
    ],
)
def test_what_cannot_be_asked_of_jobs_elsewhere_is_said_in_words(
    conveyor: Callable[..., Ran], folder: Path, command: tuple[str, ...], needed_by: str
) -> None:
    (folder / "elsewhere.py").write_text(INLINE)
    ran = conveyor(*command, "--app", "elsewhere:app")
    what, hint = ran.err.splitlines()[-2:]
    assert what.startswith(f"error: {needed_by} needs the capability ")
    assert what.endswith(", which the job queue 'InlineJobQueue' does not have")
    assert hint.startswith("hint: its jobs are kept elsewhere: ")
    assert ran.code == ExitCode.USAGE


def test_a_check_of_the_store_says_that_jobs_are_elsewhere(conveyor: Callable[..., Ran], folder: Path) -> None:
    (folder / "elsewhere.py").write_text(INLINE)
    notes = conveyor("store", "check", "--app", "elsewhere:app", "-o", "json").json["notes"]
    assert notes[-1].startswith("The app's jobs are where its job queue 'inline' keeps them")
    secret = "Conveyor('memory://', job_queue='nats://user:secret@localhost')"
    (folder / "secretive.py").write_text(f"from conveyor import Conveyor\napp = {secret}")
    ran = conveyor("store", "check", "--app", "secretive:app", "-o", "json")
    assert "job queue 'nats'" in ran.out
    assert "secret" not in ran.out
    plain = conveyor("store", "check", "-o", "json", "--store", "memory://")
    assert "job queue" not in plain.out
