"""Errors in words: each kind has its exit code."""

from __future__ import annotations

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
