"""The task tree that the documents draw is the one that runs, on both backends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from conveyor import Conveyor
from tests.house.tree import PACKAGE, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anyio import TaskInfo

PAGE: Final = ROOT / "docs" / "explanation" / "task-tree.md"
DRAWN: Final = re.compile(r"^([│ ]*)[├└]─ (\S+(?: \S+)*)  ")
OURS: Final = "conveyor "
NAMED: Final = re.compile(r'(?:name=|TASK_NAME: Final = )f?"(conveyor[^"{]*)')


def drawn_tree(text: str) -> set[tuple[str, str]]:
    """Return each drawn task with the one above it; the tasks of the app have none of ours above them."""
    tree, above = set(), [""]
    for line in text.splitlines():
        if found := DRAWN.match(line):
            depth, name = len(found[1]) // 3, found[2]
            tree.add((name, above[depth]))
            above[depth + 1 :] = [name]
    return tree


def running_tree(tasks: Iterable[TaskInfo]) -> set[tuple[str, str]]:
    """Return each running task of ours with the one above it."""
    names = {task.id: str(task.name) for task in tasks}
    return {
        (name.removeprefix(OURS), _ours(names.get(task.parent_id or 0, "")))
        for task in tasks
        if (name := names[task.id]).startswith(OURS)
    }


def _ours(name: str) -> str:
    return name.removeprefix(OURS) if name.startswith(OURS) else ""


@pytest.mark.anyio
async def test_the_tree_that_is_drawn_is_the_tree_that_runs() -> None:
    app = Conveyor("memory://")

    @app.queue("q").job()
    async def look() -> None:
        """Ran only once every loop has had its turn."""

    async with app, app.worker(concurrency=2):
        await (await look.add()).result(timeout=10)
        await anyio.wait_all_tasks_blocked()
        assert running_tree(anyio.get_running_tasks()) == drawn_tree(PAGE.read_text(encoding="utf-8"))


def test_every_task_and_thread_with_a_name_is_on_the_page() -> None:
    """Those of the command line are its own; no program that embeds conveyor meets them."""
    page = PAGE.read_text(encoding="utf-8")
    rooms = [PACKAGE / room for room in ("_app", "_handles", "_runtime", "_services", "_builtin")]
    modules = [path for room in rooms for path in (room.rglob("*.py") if room.is_dir() else [room])]
    named = {name.strip() for path in modules for name in NAMED.findall(path.read_text(encoding="utf-8"))} - {
        "conveyor"
    }
    assert len(named) > 5
    assert sorted(name for name in named if name.removeprefix(OURS) not in page) == []


def test_a_drawing_is_read_by_its_depth() -> None:
    drawing = (
        "root\n├─ bus   hears\n└─ worker two   works\n   ├─ loop   turns\n   │  └─ leaf   falls\n   └─ slot 0   runs\n"
    )
    assert drawn_tree(drawing) == {
        ("bus", ""),
        ("worker two", ""),
        ("loop", "worker two"),
        ("leaf", "loop"),
        ("slot 0", "worker two"),
    }
