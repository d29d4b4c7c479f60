"""``conveyor queues limits``: shown, changed, cleared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Ran

STORE = ("--store", "sqlite:///jobs.db")
LIMITS = ("queues", "limits")


def test_limits_are_set_one_by_one_shown_and_cleared(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    add("send", {"to": "ada"}, group="acme")
    ran = conveyor(*LIMITS, "set", "mails", "--max-global-concurrency", "3", *STORE, "-o", "json")
    assert (ran.code, ran.json["limits"]["max_global_concurrency"]) == (0, 3)
    ran = conveyor(*LIMITS, "set", "mails", "--rate", "100/1 minute", "--group-concurrency", "2", *STORE, "-o", "json")
    held = ran.json["limits"]
    assert (held["max_global_concurrency"], held["limiter"]["max"], held["limiter"]["per"]) == (3, 100, 60)
    assert held["group"]["concurrency"] == 2
    shown = conveyor(*LIMITS, "show", "mails", *STORE, "-o", "json").json
    found = [(usage["scope"], usage["key"], usage["kind"], usage["max"], usage["waiting"]) for usage in shown["usages"]]
    assert found == [
        ("queue", "", "concurrency", 3, 1),
        ("queue", "", "rate", 100, 1),
        ("group", "acme", "concurrency", 2, 1),
    ]
    title, *rows = conveyor(*LIMITS, "show", "mails", *STORE).out.splitlines()
    assert title.split()[:4] == ["scope", "key", "kind", "used"]
    assert rows[2].split() == ["group", "acme", "concurrency", "0", "2", "1"]
    ran = conveyor(*LIMITS, "set", "mails", "--rate", "none", "--group-concurrency", "none", *STORE, "-o", "json")
    assert (ran.json["limits"]["limiter"], ran.json["limits"]["max_global_concurrency"]) == (None, 3)
    assert conveyor(*LIMITS, "clear", "mails", *STORE, "-o", "json").json["usages"] == []


def test_a_bucket_counted_apart_is_set(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    add("send", {"to": "ada"})
    bucket = ("--rate", "5/1s", "--burst", "9", "--rate-key", "name")
    limiter = conveyor(*LIMITS, "set", "mails", *bucket, *STORE, "-o", "json").json["limits"]["limiter"]
    assert (limiter["burst"], limiter["key"]) == (9, "name")


def held_limits(conveyor: Callable[..., Ran], *options: str) -> Any:
    """Change limits, and return those that hold then."""
    return conveyor(*LIMITS, "set", "mails", *options, *STORE, "-o", "json").json["limits"]


def test_the_limits_of_a_name_are_changed_apart_from_those_of_others(
    conveyor: Callable[..., Ran], add: Callable[..., str]
) -> None:
    add("send", {"to": "ada"})
    held_limits(conveyor, "--name", "send", "--name-concurrency", "2", "--max-global-concurrency", "9")
    held_limits(conveyor, "--name", "fail", "--name-rate", "5/1s")
    names = held_limits(conveyor, "--name", "send", "--name-rate", "7/1 minute")["names"]
    assert (names["send"]["concurrency"], names["send"]["limiter"]["max"]) == (2, 7)
    assert (names["fail"]["concurrency"], names["fail"]["limiter"]["max"]) == (None, 5)
    held = held_limits(conveyor, "--name", "send", "--name-rate", "none", "--name-concurrency", "none")
    assert (list(held["names"]), held["max_global_concurrency"]) == (["fail"], 9)


def test_weights_are_changed_one_by_one_and_outlive_a_new_rate(
    conveyor: Callable[..., Ran], add: Callable[..., str]
) -> None:
    add("send", {"to": "ada"})
    weights = ("--weight", "send=10", "--weight", "fail=2")
    assert held_limits(conveyor, "--rate", "100/1s", *weights)["limiter"]["weights"] == {"send": 10, "fail": 2}
    assert held_limits(conveyor, "--rate", "50/1s")["limiter"]["weights"] == {"send": 10, "fail": 2}
    limiter = held_limits(conveyor, "--weight", "send=none", "--weight", "fail=3")["limiter"]
    assert (limiter["max"], limiter["weights"]) == (50, {"fail": 3})
    group = held_limits(conveyor, "--group-weight", "acme=3", "--group-weight", "=2")["group"]
    assert (group["weights"], group["concurrency"]) == ({"acme": 3, "": 2}, None)
    assert held_limits(conveyor, "--group-concurrency", "4")["group"]["weights"] == {"acme": 3, "": 2}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (("--max-global-concurrency", "0"), "--max-global-concurrency"),
        (("--group-concurrency", "few"), "--group-concurrency"),
        (("--rate", "fast"), "--rate"),
        (("--rate", "0/1s"), "max"),
        (("--rate", "-1/1s"), "--rate must be starts per time"),
        (("--max-global-concurrency", "-1"), "--max-global-concurrency must be"),
        (("--rate", "5/soon"), "per"),
        (("--rate", "5/1s", "--rate-key", "tenant"), "key"),
        (("--burst", "5"), "--rate"),
        (("--weight", "send=2"), "--rate"),
        (("--rate", "5/1s", "--weight", "send"), "--weight"),
        (("--rate", "5/1s", "--weight", "send=9"), "weights"),
        (("--group-weight", "acme=0"), "weights"),
        (("--name-concurrency", "2"), "--name"),
        (("--name", "send"), "--name-concurrency"),
        (("--name", "send", "--name-rate", "0/1s"), "max"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_changed(
    conveyor: Callable[..., Ran], add: Callable[..., str], wrong: tuple[str, ...], named: str
) -> None:
    add("send", {"to": "ada"})
    ran = conveyor(*LIMITS, "set", "mails", *wrong, *STORE)
    assert (ran.code, ran.out) == (2, "")
    assert named in ran.err
    assert conveyor(*LIMITS, "show", "mails", *STORE, "-o", "json").json["usages"] == []


@pytest.mark.parametrize("command", [("show",), ("clear",), ("set", "--rate", "5/1s")])
def test_an_unknown_queue_is_not_found(
    conveyor: Callable[..., Ran], add: Callable[..., str], command: tuple[str, ...]
) -> None:
    add("send", {"to": "ada"})
    verb, *rest = command
    ran = conveyor(*LIMITS, verb, "mials", *rest, *STORE)
    assert ran.code == 3
    assert "did you mean 'mails'?" in ran.err


def test_a_queue_can_have_limits_before_its_first_job(conveyor: Callable[..., Ran], add: Callable[..., str]) -> None:
    add("send", {"to": "ada"})
    assert conveyor(*LIMITS, "set", "reports", "--max-global-concurrency", "1", "--force", *STORE).code == 0
    assert conveyor(*LIMITS, "show", "reports", *STORE, "-o", "json").json["limits"]["max_global_concurrency"] == 1
