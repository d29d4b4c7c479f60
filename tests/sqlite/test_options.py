"""The SQLite store's URL: every part is checked before anything is opened."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from conveyor._builtin.sqlite.options import SqliteOptions, Synchronous, parse_url
from conveyor.errors import ConfigurationError


def test_a_relative_path_has_three_slashes() -> None:
    assert parse_url("sqlite:///data/jobs.db") == SqliteOptions(Path("data/jobs.db"))


def test_an_absolute_path_has_four_slashes() -> None:
    assert parse_url("sqlite:////var/lib/jobs%20here.db").path == Path("/var/lib/jobs here.db")


def test_every_option_is_read() -> None:
    assert parse_url("sqlite:///jobs.db?synchronous=normal&busy_timeout=250ms&auto_migrate=false") == SqliteOptions(
        Path("jobs.db"), Synchronous.NORMAL, timedelta(milliseconds=250), auto_migrate=False
    )


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sqlite://host/jobs.db", "'host'"),
        ("sqlite://jobs.db", "'jobs.db'"),
        ("sqlite://", "path ''"),
        ("sqlite:///", "path '/'"),
        ("sqlite:///folder/", "names a file"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///jobs.db#part", "fragment"),
        ("postgresql:///jobs.db", "'postgresql'"),
        ("sqlite:///jobs.db?sychronous=full", "did you mean 'synchronous'"),
        ("sqlite:///jobs.db?synchronous=off", "full, normal"),
        ("sqlite:///jobs.db?auto_migrate=maybe", "true, false"),
        ("sqlite:///jobs.db?busy_timeout=soon", "busy_timeout"),
        ("sqlite:///jobs.db?synchronous=full&synchronous=normal", "twice"),
    ],
)
def test_a_part_that_does_not_fit_is_named(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_url(url)
    assert said in str(caught.value)
