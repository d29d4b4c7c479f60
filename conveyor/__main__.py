"""The ``conveyor`` command: parses, runs one command, and turns errors into words and exit codes."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from inspect import BoundArguments

__all__ = ["main"]

# `ExitCode.INTERRUPTED`, which may not be imported yet when it is needed.
_INTERRUPTED: Final = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command (by default that of this process) and return its exit code. Never exits by itself."""
    try:
        return _run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:
        # Ctrl-C may come at any line, also while the command is only being imported, or its error is told.
        return _INTERRUPTED


def _run(arguments: list[str]) -> int:
    from conveyor._cli.failures import ExitCode, report

    with_traceback = bool(os.environ.get("CONVEYOR_TRACEBACK"))
    try:
        parsed = _parse(arguments)
        if parsed is None:
            return ExitCode.USAGE
        command, bound = parsed
        with_traceback = with_traceback or _asks_for_traceback(bound)
        code = command(*bound.args, **bound.kwargs)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read along has seen enough; the interpreter must not complain when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - the edge: every error becomes words here
        return report(exc, with_traceback=with_traceback)
    return int(code) if isinstance(code, int) else ExitCode.OK


def _parse(arguments: list[str]) -> tuple[Callable[..., Any], BoundArguments] | None:
    """Return the command and its arguments; None: they were wrong, and that has been said."""
    from cyclopts import CycloptsError

    from conveyor._cli.commands import make_app
    from conveyor._cli.plugin_commands import add_plugin_commands

    app = make_app()
    add_plugin_commands(app, arguments)
    try:
        command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as exc:
        chain = " ".join(["conveyor", *(exc.command_chain or ())])
        print(f"error: {' '.join(str(exc).split())}\nhint: see: {chain} --help", file=sys.stderr)  # noqa: T201
        return None
    return command, bound


def _asks_for_traceback(bound: BoundArguments) -> bool:
    from conveyor._cli.parameters import asks_for_traceback

    return asks_for_traceback(bound.arguments)


if __name__ == "__main__":
    sys.exit(main())
