"""What the memory store knows of flows: parents, their children, and how these ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from attrs import Factory, define

from conveyor.model.flows import Child, ChildOutcome, ParentRecord, Standing

if TYPE_CHECKING:
    from conveyor.model.job import ErrorInfo

__all__ = ["End", "FlowTables", "Parent"]


class End(NamedTuple):
    """How a job ended, for those who wait for it."""

    job_id: str
    outcome: ChildOutcome
    result: bytes | None = None
    error: ErrorInfo | None = None


@define(eq=False)
class Parent:
    """A job that waits, or waited, for children.

    `failure` is an end that was counted as one, of the last that were told.
    """

    record: ParentRecord
    standing: Standing
    children: dict[str, Child] = Factory(dict)
    failure: End | None = None


class FlowTables:
    """Parents by their ids, and the ids of a child's parents."""

    def __init__(self) -> None:
        self.parents: dict[str, Parent] = {}
        self.parents_of: dict[str, list[str]] = {}

    def link(self, parent: Parent, child: Child) -> None:
        """Let a parent wait for one more."""
        parent.children[child.job_id] = child
        parent.standing.open_count += 1
        self.parents_of.setdefault(child.job_id, []).append(parent.record.job_id)

    def forget(self, parent_id: str) -> None:
        """Forget a parent that was removed, with what it knew."""
        parent = self.parents.pop(parent_id, None)
        for child_id in parent.children if parent is not None else ():
            self.unlink(parent_id, child_id)

    def unlink(self, parent_id: str, child_id: str) -> None:
        """Let a child have one parent less."""
        parents = self.parents_of[child_id]
        parents.remove(parent_id)
        if not parents:
            del self.parents_of[child_id]
