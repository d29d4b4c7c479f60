"""Flows on the command line: shown with a job, listed, and as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from conveyor import Conveyor, Flow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Ran

APP = ("--app", "hello:app")


@pytest.fixture
def flow(folder: Path) -> dict[str, str]:
    """A flow of three generations, one of whose jobs stands in two places, and one was removed; by name."""

    async def add() -> dict[str, str]:
        app = Conveyor(f"sqlite:///{folder}/jobs.db")
        mails = app.queue("mails")
        jobs = {name: mails.new(name) for name in ("top", "middle", "leaf", "gone")}
        parts = [jobs["leaf"], jobs["gone"]]
        ignoring = mails.new("middle", on_child_failure="ignore")
        async with app:
            await app.flows.add(Flow(jobs["top"], [Flow(ignoring, parts), jobs["leaf"]]))
            await (await app.jobs.get(jobs["gone"].id)).remove()
        return {name: job.id for name, job in jobs.items()} | {"middle": ignoring.id}

    return anyio.run(add)


def test_a_job_is_shown_with_its_parents_and_children(conveyor: Callable[..., Ran], flow: dict[str, str]) -> None:
    shown = conveyor("jobs", "show", flow["middle"], *APP, "-o", "json").json
    assert shown["parents"] == [flow["top"]]
    assert shown["children"] == [
        {"id": flow["leaf"], "queue_name": "mails", "name": "leaf", "outcome": None},
        {"id": flow["gone"], "queue_name": "mails", "name": "gone", "outcome": "removed"},
    ]
    table = conveyor("jobs", "show", flow["middle"], *APP).out
    assert f"parents\n{flow['top']}" in table
    assert table.split("\nchildren\n")[1].split()[:4] == [flow["leaf"], "mails", "leaf", "-"]


def test_jobs_that_wait_for_children_are_listed(conveyor: Callable[..., Ran], flow: dict[str, str]) -> None:
    listed = conveyor("jobs", "list", "--state", "waiting_children", *APP, "-o", "json").json["jobs"]
    assert {job["id"] for job in listed} == {flow["top"], flow["middle"]}


def test_a_tree_shows_who_waits_for_whom(conveyor: Callable[..., Ran], flow: dict[str, str]) -> None:
    assert conveyor("jobs", "tree", flow["top"], *APP).out.splitlines() == [
        f"{flow['top']}  mails/top  waiting_children",
        f"├─ {flow['middle']}  mails/middle  waiting_children",
        f"│  ├─ {flow['leaf']}  mails/leaf  waiting",
        f"│  └─ {flow['gone']}  mails/gone  removed",
        f"└─ {flow['leaf']}  mails/leaf  waiting",
    ]
    tree = conveyor("jobs", "tree", flow["middle"], *APP, "-o", "json").json
    assert [child["state"] for child in tree["children"]] == ["waiting", "removed"]
    assert conveyor("jobs", "tree", "0" * 36, *APP).code == 3


def test_a_large_tree_is_cut(conveyor: Callable[..., Ran], flow: dict[str, str]) -> None:
    cut = conveyor("jobs", "tree", flow["top"], "--limit", "2", *APP)
    assert len(cut.out.splitlines()) == 2
    assert "more than 2 jobs" in cut.err
    whole = conveyor("jobs", "tree", flow["top"], "--limit", "5", *APP)
    assert len(whole.out.splitlines()) == 5
    assert whole.err == ""


def test_a_flow_is_cancelled_from_a_job_downwards(conveyor: Callable[..., Ran], flow: dict[str, str]) -> None:
    def states() -> dict[str, str]:
        return {
            name: conveyor("jobs", "show", flow[name], *APP, "-o", "json").json["state"] for name in ("top", "leaf")
        }

    wrong = conveyor("jobs", "cancel", flow["top"], "f" * 12, "--below", *APP)
    assert (wrong.code, states()) == (3, {"top": "waiting_children", "leaf": "waiting"})
    ran = conveyor("jobs", "cancel", flow["top"], "--below", *APP, "-o", "json")
    assert (ran.code, ran.json) == (0, [{"id": flow["top"], "cancelled": 3}])
    assert states() == {"top": "cancelled", "leaf": "cancelled"}
    again = conveyor("jobs", "cancel", flow["top"], "--below", *APP, "-o", "json")
    assert (again.code, again.json) == (5, [{"id": flow["top"], "cancelled": 0}])


@pytest.mark.parametrize("wrong", [("--all",), ("--queue", "mails")])
def test_a_flow_is_cancelled_by_its_id_alone(
    conveyor: Callable[..., Ran], folder: Path, wrong: tuple[str, ...]
) -> None:
    ran = conveyor("jobs", "cancel", *wrong, "--below", "--yes", *APP)
    assert ran.code == 2
    assert "--below is for jobs by their ids" in ran.err
