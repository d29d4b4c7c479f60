"""Stacks: where a coroutine or a thread is, from the outside in; asked from any thread, without stopping it."""

from __future__ import annotations

import gc
import sys
import traceback
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from types import FrameType

__all__ = ["format_frames", "frames_of_awaitable", "frames_of_thread", "frames_since"]

# Of coroutines, generators and async generators: the frame, and what it awaits.
_KINDS: Final = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))
# Awaitables that wrap another, such as the steps of an async generator, have no name for it.
_DEEPEST: Final = 200


def frames_of_awaitable(awaitable: object, executing: FrameType | None = None) -> Sequence[FrameType]:
    """Return the frames of what a task runs.

    Args:
        awaitable: its coroutine.
        executing: the innermost frame of the thread the task is in, in case it is the one that runs there.
    """
    frames: list[FrameType] = []
    current: object | None = awaitable
    for _ in range(_DEEPEST):
        if current is None:
            break
        frame, inner = _look_into(current)
        if frame is not None and getattr(current, "cr_running", False) and executing is not None:
            # What executes awaits nothing: the thread's own stack says what it is at.
            return [*frames, frame, *_frames_inside(frame, executing)]
        if frame is not None:
            frames.append(frame)
        current = inner
    return frames


def frames_of_thread(thread_id: int) -> Sequence[FrameType]:
    """Return the frames of a thread; none if it has ended."""
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001 - its public name is an underscored one
    return () if frame is None else _frames_inside(None, frame)


def frames_since(frames: Sequence[FrameType], module_names: Collection[str]) -> Sequence[FrameType]:
    """Return what stands inside the first frames of these modules; everything, if they have none here."""
    start = 0
    while start < len(frames) and not _is_of(frames[start], module_names):
        start += 1
    while start < len(frames) and _is_of(frames[start], module_names):
        start += 1
    return frames[start:] or frames


def format_frames(frames: Sequence[FrameType], indent: str = "") -> str:
    """Return the frames as a traceback shows them."""
    summary = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in frames)
    lines = "".join(summary.format()).splitlines()
    return "".join(f"{indent}{line}\n" for line in lines)


def _is_of(frame: FrameType, module_names: Collection[str]) -> bool:
    return frame.f_globals.get("__name__") in module_names


def _frames_inside(outer: FrameType | None, innermost: FrameType) -> Sequence[FrameType]:
    """Return the frames called by `outer` (None: all of the thread), down to the innermost."""
    frames: list[FrameType] = []
    frame: FrameType | None = innermost
    while frame is not None and frame is not outer:
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1] if frame is outer else ()


def _look_into(awaitable: object) -> tuple[FrameType | None, object | None]:
    """Return the frame of an awaitable, if it has one, and what it awaits."""
    for frame_name, inner_name in _KINDS:
        if hasattr(awaitable, frame_name):
            return getattr(awaitable, frame_name), getattr(awaitable, inner_name)
    for referent in gc.get_referents(awaitable):
        if any(hasattr(referent, frame_name) for frame_name, _ in _KINDS):
            return None, referent
    return None, None
