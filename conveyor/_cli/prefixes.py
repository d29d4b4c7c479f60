"""Ids of which people type the beginning: which one is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from conveyor._cli.failures import CommandError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MOST_LOOKED_FOR", "SHORTEST_PREFIX", "only_id"]

SHORTEST_PREFIX: Final = 8
_NAMED: Final = 10
# One more than are named tells that there are more.
MOST_LOOKED_FOR: Final = _NAMED + 1


def only_id(given: str, found: Sequence[str]) -> str:
    """Return the one id that begins with what is given, or what is given where none does.

    Args:
        given: what was typed.
        found: ids that begin with it, at most `MOST_LOOKED_FOR`.

    Raises:
        CommandError: there are several; the message names them.
    """
    if len(found) <= 1:
        return found[0] if found else given
    more = ", …" if len(found) > _NAMED else ""
    names = ", ".join(sorted(found[:_NAMED]))
    raise CommandError(ExitCode.USAGE, f"{given!r} is the beginning of several ids: {names}{more}", "type more of it")
