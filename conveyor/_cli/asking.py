"""Asking before much is changed: at a terminal only, and never twice."""

from __future__ import annotations

import sys

from conveyor._cli.failures import CommandError, ExitCode
from conveyor._cli.output import say

__all__ = ["ask", "ask_for_name", "counted"]


def ask(what: str, *, is_agreed: bool) -> None:
    """Say what will be done, and go on if that is agreed to, by `--yes` or at the terminal.

    Raises:
        CommandError: it is not (1), or nobody is there to ask (2).
    """
    if is_agreed:
        say(what)
        return
    if not sys.stdin.isatty():
        raise CommandError(ExitCode.USAGE, f"{what}; nobody is at the terminal to agree", "if it is meant, add --yes")
    if _answer(f"{what}. Go on? [y/N] ").lower() not in ("y", "yes"):
        raise CommandError(ExitCode.FAILED, "nothing was changed")


def ask_for_name(what: str, name: str, given: str | None, option: str) -> None:
    """Say what will be lost, and go on if its name is typed, as the value of an option or at the terminal.

    Raises:
        CommandError: another name was typed (2), or nobody is there to ask (2).
    """
    if given is None and not sys.stdin.isatty():
        raise CommandError(
            ExitCode.USAGE, f"{what}; nobody is at the terminal to agree", f"if it is meant, add {option} {name}"
        )
    typed = _answer(f"{what}. Type the name of the queue to go on: ") if given is None else given
    if typed != name:
        raise CommandError(ExitCode.USAGE, f"{typed!r} is not {name!r}: nothing was changed")
    if given is not None:
        say(what)


def counted(count: int, noun: str, cap: int | None = None) -> str:
    """Return a number with its noun; at its cap there may be more.

    >>> counted(1, "job"), counted(1234, "job"), counted(100, "job", cap=100)
    ('1 job', '1 234 jobs', 'at least 100 jobs')
    """
    number = f"{count:,}".replace(",", " ")
    return f"{'at least ' if count == cap else ''}{number} {noun}{'' if count == 1 else 's'}"


def _answer(question: str) -> str:
    # Data goes to stdout, so the question does not.
    print(question, end="", file=sys.stderr, flush=True)  # noqa: T201 - the command line speaks
    return sys.stdin.readline().strip()
