"""How many bad rows are too many."""

from __future__ import annotations

import pytest

from conveyor.errors import ConfigurationError
from conveyor.model.batches.policy import ErrorPolicy


@pytest.mark.parametrize(
    ("policy", "failed", "done", "total", "is_exceeded"),
    [
        (ErrorPolicy.stop(), 0, 10, None, False),
        (ErrorPolicy.stop(), 1, 10, None, True),
        (ErrorPolicy.skip(), 10, 10, 10, False),
        (ErrorPolicy.skip(most=2), 2, 2, None, False),
        (ErrorPolicy.skip(most=2), 3, 10_000, None, True),
        (ErrorPolicy.skip(share=0.05), 5, 5, 100, False),
        (ErrorPolicy.skip(share=0.05), 6, 6, 100, True),
        (ErrorPolicy.skip(share=0.05), 50, 99, None, False),
        (ErrorPolicy.skip(share=0.05), 6, 100, None, True),
        (ErrorPolicy.skip(most=3, share=0.5), 4, 100, 100, True),
        (ErrorPolicy.skip(most=30, share=0.05), 6, 100, 100, True),
        (ErrorPolicy.retry(3), 10, 10, 10, False),
        (ErrorPolicy.retry(3, most=1), 2, 10, 10, True),
    ],
)
def test_a_policy_says_when_there_are_too_many(
    policy: ErrorPolicy, failed: int, done: int, total: int | None, *, is_exceeded: bool
) -> None:
    assert policy.is_exceeded(failed, done, total) is is_exceeded


@pytest.mark.parametrize("share", [0, -0.1, 1.5, True, "5%"])
def test_a_share_is_a_part_of_one(share: float) -> None:
    with pytest.raises(ConfigurationError, match="share must be above 0 and at most 1"):
        ErrorPolicy.skip(share=share)


@pytest.mark.parametrize("number", [-1, 1.5, True])
def test_counts_are_whole_numbers(number: int) -> None:
    with pytest.raises(ConfigurationError, match="most must be a whole number"):
        ErrorPolicy.skip(most=number)
    with pytest.raises(ConfigurationError, match="retries must be a whole number"):
        ErrorPolicy.retry(number)


def test_a_policy_says_what_it_allows() -> None:
    assert ErrorPolicy.stop().describe() == "0"
    assert ErrorPolicy.skip(most=10, share=0.05).describe() == "10 and 0.05 of all"
