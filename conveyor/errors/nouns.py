"""What is wrong about a schedule, a flow, or a buffer."""

from __future__ import annotations

from conveyor.errors.configuration import ConveyorError

__all__ = ["BufferError", "BufferTakeLostError", "FlowError", "ScheduleError", "ScheduleNotFoundError"]


class ScheduleError(ConveyorError):
    """Something about one schedule."""

    def __init__(self, message: str, *, schedule_id: str) -> None:
        self.schedule_id = schedule_id
        super().__init__(message)


class ScheduleNotFoundError(ScheduleError):
    """There is no schedule of this id."""

    def __init__(self, schedule_id: str) -> None:
        super().__init__(f"there is no schedule {schedule_id!r}", schedule_id=schedule_id)


class FlowError(ConveyorError):
    """Jobs cannot be added as a flow: it holds itself, is too deep or too large, or names a job twice.

    It is raised before anything was added. A run fails by it that waits for children and has none to wait for.
    """


class BufferError(ConveyorError):
    """A buffer cannot do what was asked: its jobs stay where they are, unless it says otherwise."""

    def __init__(self, buffer_id: str, reason: str) -> None:
        self.buffer_id = buffer_id
        self.reason = reason
        super().__init__(f"buffer {buffer_id!r}: {reason}")


class BufferTakeLostError(BufferError):
    """What a flush took is not its own any more: nothing was added, and nothing is lost.

    Another flush took the jobs since, or one of them was cancelled or removed.
    """

    def __init__(self, buffer_id: str, token: str) -> None:
        self.token = token
        super().__init__(buffer_id, "another flush took its jobs meanwhile, or one of them was cancelled or removed")
