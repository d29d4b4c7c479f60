"""What every module shows: one opening sentence, and an `__all__` that is true, sorted and documented."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from tests.house.tree import PACKAGE, imported_name, modules, modules_of_tests, relative

if TYPE_CHECKING:
    from pathlib import Path


def opening_fault(source: str) -> str | None:
    """Return what is wrong with the first paragraph of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(source))
    if not docstring:
        return "has no docstring"
    opening = docstring.partition("\n\n")[0]
    return None if opening.endswith((".", ":")) else f"opens with no sentence: {opening!r}"


def sort_key(name: str) -> tuple[int, str]:
    """Order names as ruff does: constants, classes, the rest."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def is_documented(value: object) -> bool:
    """Whether a class or function says what it is for; of constants and aliases nothing is asked."""
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return True
    return bool(value.__doc__)


@pytest.mark.parametrize("path", [*modules(), *modules_of_tests()], ids=relative)
def test_a_module_opens_with_a_sentence(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    if source.strip():
        assert opening_fault(source) is None


@pytest.mark.parametrize("path", modules(), ids=relative)
def test_the_names_in_all_exist_are_documented_and_sorted(path: Path) -> None:
    if path.name == "__main__.py":
        return
    module = import_module(imported_name(path))
    names: list[str] = getattr(module, "__all__", [])
    assert names == sorted(names, key=sort_key)
    undocumented = [name for name in names if not is_documented(getattr(module, name))]
    assert not undocumented


def lent_by_the_front_door() -> dict[str, str]:
    """Return the names that type checkers see in the front door, with the modules they come from."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    return {
        alias.name: node.module or ""
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_front_door_lends_at_run_time_what_type_checkers_see() -> None:
    door = import_module("conveyor")
    lent = lent_by_the_front_door()
    assert set(door.__all__) == {*lent, "__version__"}
    assert all(getattr(door, name) is getattr(import_module(home), name) for name, home in lent.items())


def test_a_missing_opening_is_found() -> None:
    assert opening_fault("x = 1") == "has no docstring"
    assert opening_fault('"""no sentence"""') == "opens with no sentence: 'no sentence'"
    assert opening_fault('"""A sentence\nof two lines.\n\nMore"""') is None


def test_an_undocumented_name_is_found() -> None:
    class Silent:
        pass

    assert not is_documented(Silent)
    assert not is_documented(lambda: None)
    assert is_documented(7)


def test_constants_come_before_classes_before_functions() -> None:
    assert sorted(["make", "Job", "LIVE", "Apple"], key=sort_key) == ["LIVE", "Apple", "Job", "make"]
