"""How long a module and a function may be, and how many methods a class may show."""

from __future__ import annotations

import ast
import warnings
from textwrap import dedent
from typing import Final

import pytest

from tests.house.tree import functions, modules, modules_of_tests, relative

LONGEST_MODULE: Final = 400
LONGEST_TEST_MODULE: Final = 600
LONG_FUNCTION: Final = 40
LONGEST_FUNCTION: Final = 60
MOST_METHODS: Final = 12

# Each exception has a reason; one that is no longer needed fails too.
LONGER_MODULES: Final[dict[str, str]] = {}
LONGER_FUNCTIONS: Final[dict[str, str]] = {}
RICHER_CLASSES: Final[dict[str, str]] = {
    "JobStore": "a facet of the contract: one method for each thing done to jobs",
    "AbstractBatchJobStrategy": "every hook of a batch job's life, so that a strategy overrides what it needs",
}
# One delegating line for each verb, and a promise is as rich as it has to be: see house.md, "Sizes".
RICH_ROOMS: Final = ("conveyor/_handles/", "conveyor/_builtin/", "conveyor/testing/conformance/")


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the lines of a function from its def on; its docstring is not counted."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is None:
        return total
    return total - ((first.end_lineno or first.lineno) - first.lineno + 1)


def public_methods(node: ast.ClassDef) -> int:
    """Return how many methods a class shows; properties and special methods are not counted."""
    return sum(
        1
        for member in node.body
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef)
        and not member.name.startswith("_")
        and not any("property" in ast.unparse(decorator) for decorator in member.decorator_list)
    )


def test_modules_are_short() -> None:
    found = {
        relative(path): lines
        for paths, longest in ((modules(), LONGEST_MODULE), (modules_of_tests(), LONGEST_TEST_MODULE))
        for path in paths
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > longest
    }
    assert found.keys() == LONGER_MODULES.keys(), f"divide them, or give a reason: {found}"


@pytest.mark.filterwarnings("default")
def test_functions_are_short() -> None:
    lengths = {
        f"{relative(path)}:{function.name}": length(function)
        for path in modules()
        for function in functions(ast.parse(path.read_text(encoding="utf-8")))
    }
    for name, lines in lengths.items():
        if LONG_FUNCTION < lines <= LONGEST_FUNCTION:
            warnings.warn(f"{name} has {lines} lines: do its steps have names?", stacklevel=1)
    found = {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION}
    assert found.keys() == LONGER_FUNCTIONS.keys(), f"divide them, or give a reason: {found}"


def test_classes_show_few_methods() -> None:
    found = {
        node.name: count
        for path in modules()
        if not relative(path).startswith(RICH_ROOMS)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and (count := public_methods(node)) > MOST_METHODS
    }
    assert found.keys() == RICHER_CLASSES.keys(), f"divide them, or give a reason: {found}"


def test_a_docstring_makes_no_function_longer() -> None:
    source = dedent('''
        def told():
            """One.

            Two.
            """
            return 1

        def plain():
            first = 1
            return first
    ''')
    assert [length(function) for function in functions(ast.parse(source))] == [2, 3]


def test_properties_and_private_methods_are_not_counted() -> None:
    source = dedent("""
        class Thing:
            def __init__(self): ...
            def shown(self): ...
            async def shown_too(self): ...
            def _hidden(self): ...
            @property
            def name(self): ...
    """)
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.ClassDef)
    assert public_methods(node) == 2
