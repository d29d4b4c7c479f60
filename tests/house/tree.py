"""Where things stand in the checkout, and how the house tests read them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PACKAGE", "ROOT", "functions", "imported_name", "modules", "modules_of_tests", "pages", "relative"]

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "conveyor"
NOT_SOURCES: Final = {"_build", "build", "dist"}


def modules() -> list[Path]:
    """Return every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


def modules_of_tests() -> list[Path]:
    """Return every module of the tests."""
    return sorted((ROOT / "tests").rglob("*.py"))


def pages() -> list[Path]:
    """Return every page that people read: at the root, in docs/ and beside the plugins; built pages are no sources."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "plugins").rglob("README.md")]
    return sorted(page for page in found if not NOT_SOURCES & set(page.relative_to(ROOT).parts))


def relative(path: Path) -> str:
    """Return the path as messages and tables name it: from the root, with slashes."""
    return path.relative_to(ROOT).as_posix()


def imported_name(path: Path) -> str:
    """Return the dotted name of a module of the package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield every function and method, nested ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
