"""The flows facet: jobs that wait for others, added together, and what their parents know of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.model.flows import Child, FlowPlan
    from conveyor.model.locks import Lock
    from conveyor.model.queries import AddReceipt

__all__ = ["FlowStore"]


class FlowStore(Protocol):
    """A parent is waiting_children until its children have ended; which it is told in the step that ends them.

    Whatever ends a job, settles it or removes it (a settlement, a cancel, expiry, one stall too many, a removal of
    any kind) tells its parents in the same atomic step, and theirs where one of them fails by that, up to the top.
    What the parents hear is the child's outcome, with its result or error, and they keep it also when the child's
    record goes. A parent that is not waiting_children is told, and stays as it is: nothing runs a cancelled parent.

    A parent that waits goes by `next_step` of `conveyor.model.flows`: as soon as a child ends otherwise than completed
    it fails, where its `on_child_failure` says so, with an error of the type ``ChildFailed``, and its record goes as
    its `remove_on_fail` says; otherwise, once none is open, it waits, available now. Its delay begins then, once, and
    its `run_at` is kept; it is delayed until the later. ADDED, DELAYED or FINISHED is published for its queue.
    With the policy ``remove`` a child that ends otherwise than completed is its child no longer.

    A run settled with WAIT_FOR_CHILDREN leaves its job waiting_children, and what this says is decided at once.

    Rerun, a child has not ended again, and is waited for where its parent waits; a parent's failed children are
    forgiven, and it waits for those that are open. Removing a parent leaves its children alone, as does cancelling it.

    A job that is in no flow pays nothing for all this; a parent with many children is written once for each
    call that settles some of them.
    """

    async def save_flow(self, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Add the jobs of a flow in one transaction; answer in their order. The last of them is its root.

        Jobs that have children wait for them; the others are added as `save_jobs` does. Where the root is there
        already as the same add, of a flow with the same `plan_digest`, all of it was added before: the answer is
        ADDED, and nothing is added, whatever became of the jobs since. Otherwise, where the id of any of them is
        taken, nothing is added, and those jobs are answered as DUPLICATE.
        """
        ...

    async def save_flow_in(self, connection: object, plan: FlowPlan, /) -> Sequence[AddReceipt]:
        """Add a flow as `save_flow` does, inside a transaction that the caller has begun and will end.

        What `JobStore.save_jobs_in` says of connection, commit, rollback and errors holds here, too. Flows of others
        do not wait for the caller's commit; who adds the same flow does.

        Raises:
            CapabilityError, ConfigurationError: as `JobStore.save_jobs_in`.
        """
        ...

    async def add_children(self, parent_id: str, plan: FlowPlan, lock: Lock | None = None, /) -> Sequence[AddReceipt]:
        """Add children to a job that runs or waits for its children, as `save_flow` does; answer in the jobs' order.

        Those that the plan's parents have as children already are ADDED, and not added again. Where the id of
        another is taken, nothing is added. A parent that runs goes on; it waits for them once it is settled with
        WAIT_FOR_CHILDREN, and they are nothing to it where it is settled otherwise.

        Args:
            parent_id: the job that waits for the plan's topmost jobs.
            plan: the children, and theirs.
            lock: of the run that adds them; None: somebody else does.

        Raises:
            JobNotFoundError: there is no such parent.
            InvalidJobStateError: it neither runs nor waits for children.
            LockLostError: the run with this lock does not own the parent.
        """
        ...

    async def get_children(self, parent_id: str, /) -> Sequence[Child]:
        """Return the children of a job in the order in which they were added; none for a job that has none."""
        ...

    async def get_parent_ids(self, child_id: str, /) -> Sequence[str]:
        """Return the ids of the jobs that wait, or waited, for a job, in the order in which they were added.

        Parents that were removed are not among them.
        """
        ...

    async def repair_flows(self, *, limit: int = 1000) -> int:
        """Tell parents what they were not told, and let those go on that have nothing to wait for; return how many.

        At most `limit` of either. There is nothing to do after the verbs of this store; it mends what others left
        that changed its tables by hand, or settled jobs without naming their flow.
        """
        ...
