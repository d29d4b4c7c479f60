"""Tracebacks as their reader wants them: from the handler on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["without_inner_frames"]

_FRAME: Final = re.compile(r'^[\s|+]*File "(?P<path>[^"]*)", line \d+(?:, in (?P<function>.*))?')
_HEADING: Final = re.compile(r"^[\s|+]*(?:Exception Group )?Traceback \(most recent call last\):$")
# What stands between the worker's loop and the first line of a handler.
_INNER: Final = re.compile(
    r"[\\/](?:(?:conveyor[\\/]_(?:runtime|services|handles)|anyio|concurrent[\\/]futures)[\\/]|(?:trio|outcome)[\\/]_)"
)
# Where middleware has called what it wraps, this calls the handler: what stands above it are the frames of middleware.
_CALLER: Final = re.compile(r"[\\/]conveyor[\\/]_runtime[\\/]executor\.py$")
_CALLING: Final = "_call_handler"


def without_inner_frames(text: str) -> str:
    r"""Return a traceback without the frames above the handler's, of conveyor and of middleware.

    One of nothing else stays whole.

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
    """Return where the first frame of the handler begins, or of somebody else; the start where there is none."""
    frames = list(_frames(lines, start))
    calls = [number for number, (_, frame) in enumerate(frames, 1) if _calls_handler(frame)]
    # Only the first: a handler may add a job that runs inline.
    handlers = frames[calls[0] :] if calls else frames
    return next((position for position, frame in handlers if _INNER.search(frame["path"]) is None), start)


def _frames(lines: list[str], start: int) -> Iterator[tuple[int, re.Match[str]]]:
    """Yield the frames of one traceback, and where they stand."""
    for position in range(start, len(lines)):
        frame = _FRAME.match(lines[position])
        if frame is not None:
            yield position, frame
        elif lines[position].strip(" |+").strip() and not _is_code(lines[position], lines[start]):
            return


def _calls_handler(frame: re.Match[str]) -> bool:
    return frame["function"] == _CALLING and _CALLER.search(frame["path"]) is not None


def _is_code(line: str, first_frame: str) -> bool:
    """Whether a line belongs to a frame: it stands further right than the frames do."""
    return _depth(line) > _depth(first_frame)


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" |+"))
