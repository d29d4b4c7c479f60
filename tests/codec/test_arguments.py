"""Arguments of changed functions: defaults, unknown arguments, versions and upgrades."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from conveyor import Conveyor, Snooze
from conveyor._services.handlers import without_outcomes
from conveyor.codec import ArgumentsCodec
from conveyor.errors import ConfigurationError, PayloadError
from conveyor.model.outcomes import Cancel, Completed, Failed, Retry


async def send(to: str, locale: str = "en", *, copies: int = 1) -> None: ...


def from_old(version: int, arguments: dict[str, Any]) -> dict[str, Any]:
    if version == 1:
        arguments["to"] = arguments.pop("address")
    return {"locale": "de", **arguments}


def test_a_parameter_that_is_new_takes_its_default_for_jobs_added_before() -> None:
    assert ArgumentsCodec(send, "send").decode(b'{"to":"ada"}', 1) == (("ada", "en"), {"copies": 1})


def test_unknown_arguments_are_refused_or_ignored() -> None:
    payload = b'{"to":"ada","cc":"bob"}'
    with pytest.raises(PayloadError, match="unknown field `cc`"):
        ArgumentsCodec(send, "send").check(payload, 1)
    assert ArgumentsCodec(send, "send", forbid_unknown=False).decode(payload, 1)[0] == ("ada", "en")


def test_older_arguments_are_upgraded_and_those_of_today_are_not() -> None:
    codec = ArgumentsCodec(send, "send", version=3, upgrade=from_old)
    assert codec.decode(b'{"address":"ada"}', 1)[0] == ("ada", "de")
    assert codec.decode(b'{"to":"ada"}', 2)[0] == ("ada", "de")
    assert codec.decode(b'{"to":"ada"}', 3)[0] == ("ada", "en")
    with pytest.raises(PayloadError, match="unknown field `address`"):
        codec.check(b'{"address":"ada"}', 2)


def test_what_an_upgrade_returns_is_checked_like_any_arguments() -> None:
    async def pay(day: date) -> None: ...

    def returning(value: Any) -> ArgumentsCodec:
        return ArgumentsCodec(pay, "pay", version=2, upgrade=lambda _, __: value)

    assert returning({"day": date(2026, 1, 2)}).decode(b"{}", 1) == ((date(2026, 1, 2),), {})
    for value, reason in [
        ({"day": 5}, "`date`|`str`"),
        ({"day": object()}, "no JSON form"),
        ({}, "missing required field"),
        (None, "must return a dict"),
    ]:
        with pytest.raises(PayloadError, match=reason):
            returning(value).check(b"{}", 1)


def test_an_upgrade_that_raises_says_from_which_version() -> None:
    codec = ArgumentsCodec(send, "send", version=2, upgrade=from_old)
    with pytest.raises(PayloadError, match=r"arguments of 'send' at \$: the upgrade from version 1 raised KeyError"):
        codec.check(b"{}", 1)


def test_older_arguments_without_an_upgrade_are_read_as_they_are() -> None:
    assert ArgumentsCodec(send, "send", version=2).decode(b'{"to":"ada"}', 1)[0] == ("ada", "en")


def test_newer_arguments_are_refused() -> None:
    with pytest.raises(PayloadError, match="version 3, newer than 2"):
        ArgumentsCodec(send, "send", version=2, upgrade=from_old).decode(b'{"to":"ada"}', 3)


async def _async_upgrade(version: int, arguments: dict[str, Any]) -> dict[str, Any]:
    return arguments


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"upgrade": from_old}, "no version"),
        ({"upgrade": from_old, "version": 1}, "no version"),
        ({"upgrade": _async_upgrade, "version": 2}, "not async"),
        ({"upgrade": "from_old", "version": 2}, "not async"),
        ({"version": 0}, "version must be a whole number"),
        ({"forbid_unknown": "no"}, "forbid_unknown must be True or False"),
    ],
)
def test_versions_and_upgrades_that_make_no_sense_are_refused(options: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        Conveyor("memory://").queue("work").job(**options)(send)


def test_a_version_is_the_functions_own_and_no_option_of_one_job() -> None:
    handler = Conveyor("memory://").queue("work").job(version=2)(send)
    with pytest.raises(ConfigurationError, match=r"give it to @queue\.job"):
        handler.options(version=1)


def test_a_result_that_cannot_be_kept_is_refused_with_its_type() -> None:
    async def odd() -> complex:
        return 1j

    with pytest.raises(ConfigurationError, match=r"'odd' returns complex, .* complex has no JSON form"):
        Conveyor("memory://").queue("work").job()(odd)


@pytest.mark.parametrize(
    ("hint", "result"),
    [
        (str, str),
        (str | Snooze, str),
        (str | None | Retry | Failed, str | None),
        (Cancel | dict[str, int] | Completed, dict[str, int]),
        (Snooze, Any),
        (Snooze | Cancel, Any),
        (Any, Any),
    ],
)
def test_outcomes_are_no_part_of_a_result(hint: Any, result: Any) -> None:
    assert without_outcomes(hint) == result
