"""Flows: no parent runs before its children have ended, and it goes on, once, in the step that ends the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import define, field

from conveyor.model.states import SETTLED_STATES
from tests.simulation.plan import JobsById

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.history import Event
    from tests.simulation.plan import Plan

__all__ = ["FlowRules"]

COMPLETED: Final = "completed"


@define
class _Parent:
    """A job that has children: what it heard of each that ended, and since when it should have gone on."""

    policy: str
    children: set[str] = field(factory=set)
    heard: dict[str, str] = field(factory=dict)
    # Children that ran again after it had gone on: it does not wait for them.
    overtaken: set[str] = field(factory=set)
    is_blocked: bool = False
    has_gone_on: bool = False
    due_at: float | None = None

    @property
    def is_to_fail(self) -> bool:
        return self.policy == "fail" and any(outcome != COMPLETED for outcome in self.heard.values())

    @property
    def is_to_go_on(self) -> bool:
        return self.is_to_fail or self.children <= self.heard.keys()


class FlowRules:
    """Hears every event in order."""

    def __init__(self, plan: Plan, report: Callable[[Event, str], None]) -> None:
        self._report = report
        self._parents: dict[str, _Parent] = {}
        # One step lets several go on, one because of the other; they are noted in no order.
        self._gone_on: list[Event] = []
        jobs = JobsById(plan)
        for flow in plan.features.flows if plan.features is not None else ():
            for parent_id, child_id in flow.edges:
                parent = self._parents.setdefault(parent_id, _Parent(jobs[parent_id].on_child_failure))
                parent.children.add(child_id)

    def hear(self, event: Event) -> None:
        """Take the next event; judge first who went on, and who was left waiting, by the step before."""
        if event.kind != "awaits_no_more":
            self._judge_gone_on()
        for parent_id, parent in self._parents.items():
            if parent.is_blocked and parent.due_at is not None and event.at > parent.due_at:
                self._report(event, f"{parent_id} was not told that its children had ended")
                parent.due_at = None
        follow = getattr(self, f"_on_{event.kind}", None)
        if follow is not None:
            follow(event)

    # What ends a child.

    def _on_settled(self, event: Event) -> None:
        self._tell(event, event.detail)

    def _on_reclaimed(self, event: Event) -> None:
        self._tell(event, event.detail)

    def _on_cancelled(self, event: Event) -> None:
        self._tell(event, "cancelled")

    def _on_expired(self, event: Event) -> None:
        self._tell(event, "cancelled")

    def _on_removed(self, event: Event) -> None:
        self._tell(event, "removed", is_gone=True)

    def _on_outdated(self, event: Event) -> None:
        self._tell(event, "removed", is_gone=True)

    def _tell(self, event: Event, outcome: str, *, is_gone: bool = False) -> None:
        if outcome not in SETTLED_STATES and not is_gone:
            return
        for parent in self._parents.values():
            if event.job_id in parent.children:
                parent.heard.setdefault(event.job_id, outcome)
                if parent.is_to_go_on and parent.due_at is None:
                    parent.due_at = event.at

    # What has it begin again.

    def _on_added(self, event: Event) -> None:
        own = self._parents.get(event.job_id)
        if own is not None:
            own.heard.clear()
            own.overtaken.clear()
            own.has_gone_on, own.due_at = False, None
        self._open(event.job_id)

    def _on_rerun(self, event: Event) -> None:
        own = self._parents.get(event.job_id)
        if own is not None:
            own.heard = dict.fromkeys(own.heard, COMPLETED)
            own.has_gone_on, own.due_at = False, None
        self._open(event.job_id)

    def _open(self, child_id: str) -> None:
        for parent in self._parents.values():
            # With this policy, one that ended otherwise than completed is its child no longer.
            is_child = parent.policy != "remove" or parent.heard.get(child_id) == COMPLETED
            if is_child and parent.heard.pop(child_id, None) is not None:
                parent.due_at = None
                if not parent.is_blocked:
                    parent.overtaken.add(child_id)

    # What becomes of parents.

    def _on_awaits(self, event: Event) -> None:
        parent = self._parents[event.job_id]
        if parent.has_gone_on:
            self._report(event, "waits for its children a second time")
        parent.is_blocked = True

    def _on_awaits_no_more(self, event: Event) -> None:
        parent = self._parents[event.job_id]
        parent.is_blocked, parent.has_gone_on, parent.due_at = False, True, None
        self._tell(event, event.detail)
        self._gone_on.append(event)

    def _judge_gone_on(self) -> None:
        for event in self._gone_on:
            parent = self._parents[event.job_id]
            if event.detail == "failed" and not parent.is_to_fail:
                self._report(event, "failed for its children, of which none did that it may not outlive")
            if event.detail in ("waiting", "delayed", "active"):
                self._check_may_run(event, parent)
        self._gone_on.clear()

    def _on_fetched(self, event: Event) -> None:
        parent = self._parents.get(event.job_id)
        if parent is not None:
            self._check_may_run(event, parent)

    def _check_may_run(self, event: Event, parent: _Parent) -> None:
        missing = sorted(parent.children - parent.heard.keys() - parent.overtaken)
        if missing:
            self._report(event, f"{event.kind} before its children had ended: {' '.join(missing)}")
        elif parent.is_to_fail and event.kind == "awaits_no_more":
            self._report(event, "goes on in spite of a child that did not complete")
