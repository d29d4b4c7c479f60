"""A Python prompt at which one may await: code runs here, coroutines on the loop of a portal."""

from __future__ import annotations

import ast
import contextlib
import inspect
import traceback
from code import InteractiveConsole
from importlib import import_module
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from conveyor._cli.failures import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyio.from_thread import BlockingPortal

__all__ = ["AwaitingConsole"]


class AwaitingConsole(InteractiveConsole):
    """Python's own console, with await."""

    def __init__(self, portal: BlockingPortal, names: Mapping[str, Any]) -> None:
        """Begin with these names."""
        self._portal = portal
        self._names: dict[str, Any] = {"__name__": "__console__", **names}
        super().__init__(self._names)
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def ask(self, greeting: str) -> None:
        """Ask for input until its end."""
        with contextlib.suppress(ImportError):
            import_module("readline")  # editing and history, where Python has them
        with contextlib.suppress(SystemExit):
            self.interact(greeting, "")

    def run(self, source: str, name: str) -> ExitCode:
        """Run a whole program; an error is shown as Python shows it."""
        try:
            self._run(compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT))
        except Exception as exc:  # noqa: BLE001 - whatever the program of a user raises
            _show(exc, name)
            return ExitCode.FAILED
        return ExitCode.OK

    def runcode(self, code: CodeType) -> None:
        """Run what was typed; an error is shown, and the prompt goes on."""
        try:
            self._run(code)
        except SystemExit:
            raise
        except BaseException as exc:  # noqa: BLE001 - Ctrl+C ends what runs, not the prompt
            _show(exc, self.filename)

    def _run(self, code: CodeType) -> None:
        function = FunctionType(code, self._names)
        if not code.co_flags & inspect.CO_COROUTINE:
            function()
            return
        running = self._portal.start_task_soon(function)
        try:
            running.result()
        except BaseException:
            running.cancel()
            raise


def _show(error: BaseException, name: str) -> None:
    """Print an error with the frames from the user's code on."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != name:
        frames = frames.tb_next
    traceback.print_exception(error.with_traceback(frames))
