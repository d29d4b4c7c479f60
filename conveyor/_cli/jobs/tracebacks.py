"""Tracebacks as their reader wants them: from the handler on."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["without_inner_frames"]

_FRAME: Final = re.compile(r'^[\s|+]*File "(?P<path>[^"]*)", line \d+')
_HEADING: Final = re.compile(r"^[\s|+]*(?:Exception Group )?Traceback \(most recent call last\):$")
# What stands between the worker's loop and the first line of a handler.
_INNER: Final = re.compile(r"[\\/](?:conveyor[\\/]_(?:runtime|services|handles)|anyio|concurrent[\\/]futures)[\\/]")


def without_inner_frames(text: str) -> str:
    r"""Return a traceback without the frames of conveyor above the handler's; one of nothing else stays whole.

    >>> print(without_inner_frames(
    ...     'Traceback (most recent call last):\n'
    ...     '  File "/lib/conveyor/_runtime/executor.py", line 9, in run\n    await call()\n'
    ...     '  File "/app/mails.py", line 3, in send\n    raise ValueError\nValueError'
    ... ))
    Traceback (most recent call last):
      File "/app/mails.py", line 3, in send
        raise ValueError
    ValueError
    """
    lines, kept = text.splitlines(), list[str]()
    position = 0
    while position < len(lines):
        kept.append(lines[position])
        position += 1
        if _HEADING.match(kept[-1]):
            position = _first_of_handler(lines, position)
    return "\n".join(kept)


def _first_of_handler(lines: list[str], start: int) -> int:
    """Return where the first frame of somebody else begins; the start where there is none."""
    for position in range(start, len(lines)):
        frame = _FRAME.match(lines[position])
        if frame is None:
            if not lines[position].strip(" |+").strip() or _is_code(lines[position], lines[start]):
                continue
            return start
        if _INNER.search(frame["path"]) is None:
            return position
    return start


def _is_code(line: str, first_frame: str) -> bool:
    """Whether a line belongs to a frame: it stands further right than the frames do."""
    return _depth(line) > _depth(first_frame)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" |+"))
