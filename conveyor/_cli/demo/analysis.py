"""The demo's work: which files there are, and how many tokens, definitions and branches one holds."""

from __future__ import annotations

import ast
import io
import os
import sysconfig
import tokenize
from pathlib import Path
from typing import Final

from attrs import frozen

__all__ = ["AnalysisError", "FileCounts", "count_source", "find_python_files", "standard_library"]

_NOT_OURS: Final = frozenset({"__pycache__", "dist-packages", "site-packages"})
_DEFINITIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_BRANCHES: Final = (
    ast.If,
    ast.IfExp,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.match_case,
    ast.comprehension,
)


class AnalysisError(Exception):
    """A file is no Python that this interpreter reads; the message says why and where."""


@frozen
class FileCounts:
    """What one file holds."""

    tokens: int
    definitions: int
    branches: int


def standard_library() -> Path:
    """Return the folder of the running interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def find_python_files(root: Path) -> list[Path]:
    """Return the ``.py`` files below a folder in order, without installed packages.

    Files whose names are no valid unicode are left out: a job's arguments could not name them.
    """
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _NOT_OURS]
        found += [Path(folder, name) for name in names if name.endswith(".py")]
    return sorted(path for path in found if path.is_file() and _is_unicode(str(path)))


def _is_unicode(text: str) -> bool:
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in text)


def count_source(source: bytes) -> FileCounts:
    """Count what a file's bytes hold.

    Branches are the places where the flow can go two ways: if, for, while, except, case, comprehensions.

    Raises:
        AnalysisError: the bytes cannot be decoded or parsed.

    >>> count_source(b"def f(x): return x if x else 0")
    FileCounts(tokens=15, definitions=1, branches=1)
    """
    try:
        tokens = sum(1 for _ in tokenize.tokenize(io.BytesIO(source).readline))
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError) as exc:
        raise AnalysisError(_reason(exc)) from exc
    definitions = branches = 0
    for node in ast.walk(tree):
        if isinstance(node, _DEFINITIONS):
            definitions += 1
        elif isinstance(node, _BRANCHES):
            branches += 1
    return FileCounts(tokens, definitions, branches)


def _reason(exc: Exception) -> str:
    name = type(exc).__name__
    if isinstance(exc, SyntaxError):
        return f"{name}: {exc.msg}" + (f", line {exc.lineno}" if exc.lineno else "")
    if isinstance(exc, tokenize.TokenError):
        message, (line, _) = exc.args
        return f"{name}: {message}, line {line}"
    return f"{name}: {exc}" if str(exc) else name
