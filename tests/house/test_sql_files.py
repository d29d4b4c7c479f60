"""One statement per SQL file, with a header, named after a method of its facet, and used."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from typing import TYPE_CHECKING, Final

import pytest

from tests.house.tree import PACKAGE, relative

if TYPE_CHECKING:
    from pathlib import Path

SQLITE: Final = PACKAGE / "_builtin" / "sqlite"
FILES: Final = sorted((SQLITE / "sql").glob("**/*.sql"))
STATEMENT: Final = re.compile(r"[a-z_]+/[a-z_]+")


def header_fault(text: str) -> str | None:
    """Return what is missing from a file's header: its purpose, its parameters, the index it relies on."""
    lines = text.splitlines()
    comments = lines[: next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))]
    if not comments or comments[0].startswith(("-- parameters:", "-- index:")):
        return "begins with no purpose"
    for part in ("-- parameters:", "-- index:"):
        if not any(comment.startswith(part) for comment in comments):
            return f"has no line {part!r}"
    return None


def count_statements(text: str) -> int:
    """Return how many statements a file holds; semicolons in comments, strings and triggers are none of them."""
    bare = re.sub(r"--[^\n]*|'(?:[^']|'')*'", "", text)
    bare = re.sub(r"\bbegin\b.*\bend\b", "", bare, flags=re.DOTALL) if "create trigger" in bare else bare
    return sum(1 for part in bare.split(";") if part.strip())


def methods_of_facet(facet: str) -> set[str]:
    """Return the methods of the contract's facet of this name."""
    module = import_module(f"conveyor.contracts.store.{facet}")
    return {name for shown in module.__all__ for name in vars(getattr(module, shown)) if not name.startswith("_")}


def is_named_after(stem: str, methods: set[str]) -> bool:
    """Whether a file is named as a method, or as a step of one: `fetch_jobs`, `fetch_jobs_lifo`."""
    return any(stem == method or stem.startswith(f"{method}_") for method in methods)


def statements_used(source: str) -> set[str]:
    """Return the statements a module names: its strings of the form "facet/method"."""
    constants = {node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)}
    return {value for value in constants if isinstance(value, str) and STATEMENT.fullmatch(value)}


def test_there_are_files() -> None:
    assert FILES


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_is_one_statement_with_a_header(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert header_fault(text) is None
    assert count_statements(text) == 1


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_a_file_is_named_after_a_method_of_its_facet(path: Path) -> None:
    methods = methods_of_facet(path.parent.name)
    assert is_named_after(path.stem, methods), f"{path.parent.name} has {sorted(methods)}"


def test_every_file_is_used_and_every_use_has_a_file() -> None:
    used = {name for path in SQLITE.glob("*.py") for name in statements_used(path.read_text(encoding="utf-8"))}
    assert used == {f"{path.parent.name}/{path.stem}" for path in FILES}


def test_faults_of_a_file_are_found() -> None:
    header = "-- Does it.\n-- parameters: none\n-- index: none\n"
    assert header_fault("select 1") == "begins with no purpose"
    assert header_fault("-- Does it.\n-- parameters: none\nselect 1") == "has no line '-- index:'"
    assert header_fault(header + "select 1") is None
    assert count_statements(header + "select ';' -- ; \n;") == 1
    assert count_statements("select 1; select 2") == 2


def test_a_statement_is_used_where_it_is_named() -> None:
    source = '"""Tells of "facet/method"."""\nrows = run(sql("jobs/get_job"))'
    assert statements_used(source) == {"jobs/get_job"}


def test_a_file_named_after_nothing_is_found() -> None:
    assert is_named_after("fetch_jobs_lifo", methods_of_facet("jobs"))
    assert not is_named_after("grab_jobs", methods_of_facet("jobs"))
