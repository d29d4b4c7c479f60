"""``conveyor config show``: each setting with its value and its source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conveyor.model.masking import masked_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran


def shown(conveyor: Callable[..., Ran], *arguments: str) -> dict[str, tuple[str | None, str]]:
    """Return value and source of each setting."""
    records = conveyor("config", "show", *arguments, "-o", "json").json
    assert [list(record) for record in records] == [["name", "value", "source"]] * len(records)
    return {record["name"]: (record["value"], record["source"]) for record in records}


def test_defaults_are_shown_as_such(conveyor: Callable[..., Ran]) -> None:
    assert shown(conveyor) == {
        "app": (None, "not set"),
        "store": ("sqlite:///conveyor.db", "default"),
        "plugins.allow": (None, "not set"),
        "plugins.block": (None, "not set"),
        "masked_fields": (None, "not set"),
        "active_queues": (None, "not set"),
        "traceback": ("no", "default"),
    }


def test_each_setting_tells_where_it_comes_from(
    conveyor: Callable[..., Ran], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "pyproject.toml").write_text(
        "[tool.conveyor]\napp = 'hello:app'\n[tool.conveyor.plugins]\nblock = ['a', 'b']\n"
    )
    monkeypatch.setenv("CONVEYOR_TRACEBACK", "1")
    monkeypatch.setenv("CONVEYOR_ACTIVE_QUEUES", "mail,reports")
    found = shown(conveyor)
    assert found["app"] == ("hello:app", str(folder / "pyproject.toml"))
    assert found["store"] == ("sqlite:///jobs.db", "the app")
    value, source = found["plugins.block"]
    assert value == "a, b"
    assert "pyproject.toml" in source
    assert found["active_queues"] == ("mail, reports", "CONVEYOR_ACTIVE_QUEUES")
    assert found["traceback"] == ("1", "CONVEYOR_TRACEBACK")
    assert shown(conveyor, "--store", "memory://")["store"] == ("memory://", "argument")
    monkeypatch.setenv("CONVEYOR_STORE", "sqlite:///other.db")
    assert shown(conveyor)["store"] == ("sqlite:///other.db", "CONVEYOR_STORE")


def test_an_app_that_cannot_be_loaded_is_an_error(conveyor: Callable[..., Ran]) -> None:
    assert conveyor("config", "show", "--app", "hello:ap").code == 2


def test_passwords_are_not_shown(conveyor: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVEYOR_STORE", "postgresql://ada:s3cret@db/jobs")
    ran = conveyor("config", "show")
    assert "s3cret" not in ran.out
    assert "postgresql://ada:***@db/jobs" in ran.out


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///jobs.db?synchronous=normal", "sqlite:///jobs.db?synchronous=normal"),
        ("postgresql://db/jobs", "postgresql://db/jobs"),
        ("postgresql://ada@db/jobs", "postgresql://ada@db/jobs"),
        ("postgresql://:p@db/jobs", "postgresql://:***@db/jobs"),
        ("postgresql://ada:p@ss@db/jobs", "postgresql://ada:***@db/jobs"),
        ("postgresql://ada:a:b@db:5432/jobs", "postgresql://ada:***@db:5432/jobs"),
        ("postgresql://db/jobs?password=x", "postgresql://db/jobs?password=***"),
        ("redis://db?db=1&Auth_Token=x&pool=2", "redis://db?db=1&Auth_Token=***&pool=2"),
    ],
)
def test_only_what_is_secret_is_masked(url: str, expected: str) -> None:
    assert masked_url(url) == expected
