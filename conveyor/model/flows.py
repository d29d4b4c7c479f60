"""Flows: jobs that wait for others, as a plan to be saved, and what becomes of a parent when children end."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from attrs import define, evolve, field, frozen

from conveyor.errors import FlowError
from conveyor.model.error_groups import fingerprint
from conveyor.model.job import ErrorInfo, NewJob
from conveyor.model.options import ChildFailurePolicy, JobOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import timedelta

    from conveyor.model.retention import Removal

__all__ = [
    "LARGEST_FLOW",
    "LONGEST_PATH",
    "Child",
    "ChildOutcome",
    "Edge",
    "Flow",
    "FlowPlan",
    "ParentRecord",
    "Standing",
    "Step",
    "child_failed",
    "next_step",
    "on_children_settled",
    "parent_records",
    "plan_children",
    "plan_digest",
    "plan_flow",
]

# So many jobs at once are one transaction; more children can be added to a parent that waits.
LARGEST_FLOW: Final = 50_000
# So many generations: what ends at the bottom is passed on to the top in one transaction.
LONGEST_PATH: Final = 100


def _parent(parent: NewJob) -> NewJob:
    if not isinstance(parent, NewJob):
        raise FlowError(f"the parent of a flow is a job made with new(), got {parent!r}")
    return parent


def _children(children: Iterable[Flow | NewJob]) -> tuple[Flow | NewJob, ...]:
    try:
        members = tuple(children)
    except TypeError:
        raise FlowError(f"the children of a flow are a list of jobs made with new(), got {children!r}") from None
    for member in members:
        if not isinstance(member, NewJob | Flow):
            raise FlowError(f"a flow is made of jobs made with new(), and of flows of these, got {member!r}")
    return members


@frozen
class Flow:
    """A job and those that it waits for: each a flow of its own, or a job made with ``new()``.

    The same object may stand under several parents, which all wait for it.

    Raises:
        FlowError: the parent is no such job, or the children are no list of jobs and flows.
    """

    parent: NewJob = field(converter=_parent)
    children: tuple[Flow | NewJob, ...] = field(converter=_children)


class Edge(NamedTuple):
    """A parent waits for a child."""

    parent_id: str
    child_id: str


@frozen
class FlowPlan:
    """Jobs to be added together, children before their parents, and who waits for whom.

    An edge's child is one of the jobs; so is its parent, except where children are added to a job that is there.
    The jobs' options name their flow: the id of its topmost job.
    """

    jobs: Sequence[NewJob]
    edges: Sequence[Edge]


class ChildOutcome(StrEnum):
    """How a child ended: REMOVED means that it was removed before it did."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REMOVED = "removed"


@frozen
class Child:
    """What a parent knows of a child, also when the child's record is gone.

    Attributes:
        outcome: how it ended; None: it has not.
        result: what its handler returned, as JSON.
        error: why it failed or was cancelled.
    """

    job_id: str
    queue_name: str
    name: str
    outcome: ChildOutcome | None = None
    result: bytes | None = None
    error: ErrorInfo | None = None


@define
class Standing:
    """How a parent's children stand: those that have not ended, and those that ended otherwise than completed."""

    open_count: int
    failed_count: int = 0


class Step(StrEnum):
    """What becomes of a job that waits for its children: it goes on waiting, runs, or fails."""

    WAIT = "wait"
    RUN = "run"
    FAIL = "fail"


@frozen
class ParentRecord:
    """What a store keeps of a job that waits for children, beside the job: how it goes on, and how it may end.

    Attributes:
        delay: the wait that begins when the last child has ended.
        removal: what becomes of its record if it fails because a child did.
        digest: of the flow that it is the root of, where that was added as a whole; see `plan_digest`.
    """

    job_id: str
    policy: ChildFailurePolicy
    delay: timedelta | None
    removal: Removal
    digest: bytes | None = None


Ended: TypeAlias = "Iterable[ChildOutcome]"


def on_children_settled(standing: Standing, outcomes: Ended, policy: ChildFailurePolicy) -> Standing:
    """Return how the children stand after some of the open ones ended so."""
    ended = list(outcomes)
    failures = sum(outcome is not ChildOutcome.COMPLETED for outcome in ended)
    counted = 0 if policy is ChildFailurePolicy.REMOVE else failures
    return Standing(standing.open_count - len(ended), standing.failed_count + counted)


def next_step(standing: Standing, policy: ChildFailurePolicy) -> Step:
    """Return what a parent does next whose children stand so."""
    if standing.failed_count and policy is ChildFailurePolicy.FAIL:
        return Step.FAIL
    return Step.WAIT if standing.open_count else Step.RUN


def child_failed(child_id: str, outcome: ChildOutcome, queue_name: str, name: str) -> ErrorInfo:
    """Return why a parent of this queue and name failed that waited for this child.

    Its fingerprint is the same whichever child it was, so that stores may make it with no rules for ids.
    """
    said = "was removed before it ended" if outcome is ChildOutcome.REMOVED else outcome.value
    alike = fingerprint(ErrorInfo("ChildFailed", f"its child # {said}"), queue_name, name)
    return ErrorInfo("ChildFailed", f"its child {child_id} {said}", fingerprint=alike)


def parent_records(plan: FlowPlan, digest: bytes | None = None) -> list[ParentRecord]:
    """Return what is kept of the parents among the jobs of a plan; of a whole flow its digest, with its root."""
    parents = {edge.parent_id for edge in plan.edges}
    root = plan.jobs[-1]
    return [
        ParentRecord(
            job.id,
            job.options.on_child_failure,
            job.delay,
            job.options.remove_on_fail,
            digest if job is root else None,
        )
        for job in plan.jobs
        if job.id in parents
    ]


def plan_digest(plan: FlowPlan) -> bytes:
    """Return 16 bytes that tell a whole flow from any other with the same root, whatever becomes of its jobs.

    They are made of what each job is (id, queue, name and payload), and of who waits for whom.
    """
    digest = hashlib.blake2b(digest_size=16)
    # No part has this character in it.
    for job in sorted(plan.jobs, key=lambda job: job.id):
        digest.update(b"\0".join((job.id.encode(), job.queue_name.encode(), job.name.encode(), job.payload, b"")))
    for edge in sorted(plan.edges):
        digest.update("\0".join((*edge, "")).encode())
    return digest.digest()


def plan_flow(flow: Flow) -> FlowPlan:
    """Return the jobs and edges of a flow.

    Raises:
        FlowError: it is no flow, has no children, holds itself, is too deep or too large, or two of its jobs have
            one id.
    """
    if not isinstance(flow, Flow):
        raise FlowError(f"flows are made with Flow(parent, children=[...]), got {flow!r}")
    walk = _Walk(flow_id=_parent_of(flow).id)
    walk.visit(flow)
    walk.save_root(flow.parent)
    return walk.plan()


def plan_children(parent_id: str, flow_id: str, children: Sequence[Flow | NewJob]) -> FlowPlan:
    """Return the jobs and edges of children, and theirs, that are added to a job that is there.

    Raises:
        FlowError: as for `plan_flow`; or one of them is the parent itself.
    """
    if not children:
        raise FlowError("give at least one child")
    walk = _Walk(flow_id=flow_id, parent_id=parent_id)
    for child in children:
        walk.visit_child(parent_id, child)
    return walk.plan()


class _Walk:
    """Goes through a flow from its leaves to its root, and refuses what is none."""

    def __init__(self, flow_id: str, parent_id: str = "") -> None:
        self._flow_id = flow_id
        self._jobs: dict[str, NewJob] = {}
        self._sources: dict[str, Flow | NewJob] = {}
        self._edges: dict[Edge, None] = {}
        self._path: list[str] = [parent_id] if parent_id else []
        self._options: dict[int, tuple[JobOptions, JobOptions]] = {}

    def plan(self) -> FlowPlan:
        return FlowPlan(tuple(self._jobs.values()), tuple(self._edges))

    def visit(self, flow: Flow) -> None:
        parent = _parent_of(flow)
        if not flow.children:
            raise FlowError(f"the flow of job {parent.id!r} has no children: add the job by itself")
        if len(self._path) >= LONGEST_PATH:
            raise FlowError(f"a flow has at most {LONGEST_PATH} generations; that of {self._path[0]!r} has more")
        self._path.append(parent.id)
        for child in flow.children:
            self.visit_child(parent.id, child)
        self._path.pop()

    def visit_child(self, parent_id: str, child: Flow | NewJob) -> None:
        job = _parent_of(child) if isinstance(child, Flow) else child
        _check_job(job)
        if job.id in self._path:
            raise FlowError(f"job {job.id!r} would wait for itself: {' -> '.join([*self._path, job.id])}")
        known = self._sources.get(job.id)
        if known is None:
            if isinstance(child, Flow):
                self.visit(child)
            self._save(job, child)
        elif known is not child:
            raise FlowError(f"two jobs of the flow have the id {job.id!r}")
        self._edges[Edge(parent_id, job.id)] = None

    def save_root(self, job: NewJob) -> None:
        if job.id in self._sources:
            raise FlowError(f"two jobs of the flow have the id {job.id!r}")
        self._jobs[job.id] = evolve(job, options=self._of_this_flow(job.options))

    def _save(self, job: NewJob, source: Flow | NewJob) -> None:
        if len(self._jobs) >= LARGEST_FLOW:
            raise FlowError(f"a flow has at most {LARGEST_FLOW} jobs; add more children while their parent waits")
        self._sources[job.id] = source
        self._jobs[job.id] = evolve(job, options=self._of_this_flow(job.options))

    def _of_this_flow(self, options: JobOptions) -> JobOptions:
        # Neighbours mostly share their options; so do those that this makes.
        known = self._options.get(id(options))
        if known is None:
            known = self._options[id(options)] = (options, evolve(options, flow_id=self._flow_id))
        return known[1]


def _parent_of(flow: Flow) -> NewJob:
    _check_job(flow.parent)
    return flow.parent


def _check_job(job: object) -> None:
    if not isinstance(job, NewJob):
        raise FlowError(f"a flow is made of jobs made with new(), got {job!r}")
    if job.options.group is not None and job.options.group.max_size is not None:
        raise FlowError(f"job {job.id!r} has a group with max_size: a flow is added as a whole, whatever waits already")
    if job.deduplication is not None:
        raise FlowError(f"job {job.id!r} has a deduplication key: another job cannot stand for it in a flow")
