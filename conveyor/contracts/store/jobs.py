"""The jobs facet: adding, fetching, settling, and single jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from conveyor.model.job import Attempt, Ending, JobData, LogEntry, NewJob, ProgressReport
    from conveyor.model.locks import Lock
    from conveyor.model.queries import AddReceipt, Want
    from conveyor.model.retention import Retention
    from conveyor.model.settlement import Refusal, Settlement, SettleReport

__all__ = ["JobStore"]


class JobStore(Protocol):
    """Order within a queue: priority (lower first), then the time the job became available, then the sequence
    in which jobs were added. A job becomes available when it is added, when its time comes (`run_at`), when it
    is promoted by hand or rerun (now), or when its retry is due. Release and reclaim leave it at its old place.
    Jobs with the option `lifo` go before the others of their priority, newest first. A want with `lifo` turns
    the last two orders round for the jobs without the option.

    A waiting job that stalled since it was added or rerun is a suspect: it may be what its worker died of. Suspects
    are fetched one at a time and only by those who ask for one, so that the next worker loses nothing else with it.
    """

    async def save_job(self, job: NewJob, /) -> AddReceipt:
        """Add one job: see `save_jobs`."""
        ...

    async def save_jobs(self, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Add jobs in one transaction and answer in the order of the input.

        A job whose time has not come (``delay``, ``run_at``) is delayed, the others wait. Ids are unique over
        live and retained jobs of the whole store: the same add again (same queue, name, payload) answers ADDED
        and adds nothing, whatever has become of the job since; any other answers DUPLICATE and adds nothing.
        The id of a job that was removed, also by its own settlement, is free again.
        The same holds within one call.

        Deduplication, of those whose id is new: where another job holds the key of `NewJob.deduplication`, nothing is
        added, and the answer has the id of that job. One of the same queue and name holds the key that it took last
        while its time (`ttl`, from that add) is not over and its state is in `held_in` of whoever asks; with THROTTLE,
        one that took it for a time holds it for all of that, also when it is gone. By mode:

        - KEEP answers KEPT, REJECT answers REJECTED, THROTTLE answers THROTTLED; nothing changes;
        - REPLACE answers REPLACED: payload, options, priority and expiry are those of the new one. It becomes due as
          that would; one that waits keeps its place, unless the new one is delayed;
        - DEBOUNCE answers POSTPONED: it becomes due as the new one would, and all else stays.

        Otherwise the job is added and takes the key, for `ttl` or for as long as it exists. So a job that settles,
        expires or is removed frees its key, and one that is rerun has it again, unless another took it meanwhile.
        The receipt may bring the job that holds the key, as it stands after the add, which spares the caller a look.
        The same add again within `ANSWERS_REMEMBERED` is answered as before, whatever came between, and changes
        nothing. All of it holds with any number of callers, and within one call as if each job came alone, in order.
        A job of another payload whose id is taken is DUPLICATE and touches no key.

        A new job whose time has come and whose group has a `max_size` answers GROUP_FULL and is not added, where that
        many jobs of the group wait. Whatever adds at the same time, adding lets no more of them wait.
        One that meets the key of another is answered by that, and no group is asked. What waits without an add (its
        delay is over, it is retried, rerun or handed back) is one more, full or not: nobody is there to be told.
        """
        ...

    async def save_jobs_in(self, connection: object, jobs: Sequence[NewJob], /) -> Sequence[AddReceipt]:
        """Add jobs as `save_jobs` does, inside a transaction that the caller has begun and will end.

        The connection is one of the store's driver to the same database, or a `TransactionConnection` of this
        store. The jobs are there exactly when the caller commits, and nobody is woken before. A call that fails
        leaves nothing in the transaction, which goes on where the database lets it.

        Raises:
            CapabilityError: the store has no transactions.
            ConfigurationError: the connection is none of these, is on another database, or has no transaction.
        """
        ...

    async def get_job(self, queue_name: str, job_id: str, /) -> JobData | None:
        """Return the job, or None where this queue has none of this id."""
        ...

    async def find_job(self, job_id: str, /) -> JobData | None:
        """Return the job of this id from whichever queue, or None."""
        ...

    async def find_by_deduplication_key(self, queue_name: str, job_name: str, key: str, /) -> JobData | None:
        """Return the job that took this key last, if it is live and the time is not over for which it has the key."""
        ...

    async def find_jobs(self, job_ids: Sequence[str], /) -> Mapping[str, JobData]:
        """Return those of the jobs that exist, by id."""
        ...

    async def find_endings(self, job_ids: Sequence[str], /) -> Mapping[str, Ending]:
        """Return how those of the jobs ended that left no record, by id: for whoever waited for them.

        These are jobs that `remove_on_complete` or `remove_on_fail` removed in the step that settled them. The last
        10 000 at least are known. An id that was taken by another job since may be among them.
        """
        ...

    async def fetch_jobs(
        self, wants: Sequence[Want], worker_id: str, lock_duration: timedelta, /, *, fetch_number: int
    ) -> Sequence[JobData]:
        """Lock the next jobs for a worker session, for all wants in one atomic step, and return them in order.

        Each returned job is active, its token is (worker_id, fetch_number), its `started_at` is set. No job is
        given to two fetches. Jobs of paused names and queues are passed over, and so are suspects. Limits hold
        and groups take turns as `LimitStore` says; jobs of groups to exclude are passed over. A want with
        `is_suspect` gets nothing but suspects: the first in order (`lifo` turns nothing round), one whatever the
        limit, and none while the session holds a suspect, whether from before or from this very call.
        The session's lock is extended to at least `lock_duration` from now; jobs it holds already are kept by that too.

        The same fetch number of a session again locks nothing new and returns the jobs that this fetch locked
        and that are still active under it.

        Raises:
            SessionLostError: there is no such session; open it (again) first.
        """
        ...

    async def get_suspect_queues(self, queue_names: Sequence[str], /) -> Sequence[str]:
        """Return those of the queues, in the order given, that have a suspect whose name is not paused."""
        ...

    async def extend_locks(self, locks: Sequence[Lock], lock_duration: timedelta, /) -> Sequence[Lock]:
        """Keep these runs' locks for `lock_duration` from now and return those that are lost.

        A lock whose time is over is extended like any other as long as nobody has reclaimed its job.
        """
        ...

    async def release_locks(self, locks: Sequence[Lock], /) -> Sequence[Lock]:
        """Hand jobs back: waiting, at their old place, no attempt and no stall counted. Returns the locks that
        were lost, whose jobs are untouched.
        """
        ...

    async def settle_jobs(
        self,
        settlements: Sequence[Settlement],
        wants: Sequence[Want] = (),
        worker_id: str = "",
        lock_duration: timedelta | None = None,
        /,
        *,
        fetch_number: int = 0,
    ) -> SettleReport:
        """Record how runs ended, all in one atomic step, and optionally fetch the next jobs in the same.

        A settlement is applied only where its token still holds the job; otherwise it is refused, by item and
        never by an exception. The same settlement again, after it was applied, is neither refused nor applied
        twice. History gets the attempt. `delay` and `kept_for` count from the store's now. Outcome STALLED counts one
        stall and no attempt: with RECLAIM the job waits at its old place and is a suspect, with GIVE_UP it fails; the
        number of stalls it may have is the worker's affair. The fetch takes place after the settlements and is as in
        `fetch_jobs`.

        Raises:
            SessionLostError: there is no session to fetch in. Then nothing was settled, either.
        """
        ...

    async def set_progress(self, reports: Sequence[ProgressReport], /) -> Sequence[Refusal]:
        """Store the runs' progress under their locks; returns what was refused."""
        ...

    async def append_logs(self, entries: Sequence[LogEntry], /) -> Sequence[Refusal]:
        """Append lines in order, at the store's now. With a lock, the lock must hold; without, the job must exist.

        Of each job the last `conveyor.model.retention.LOG_LINES_KEPT` are kept at least; older ones go.

        Refusals without a lock carry the token ("", 0).
        """
        ...

    async def get_logs(self, job_id: str, /, *, start: int = 0, end: int = 1000) -> Sequence[LogEntry]:
        """Return lines start (inclusive) to end (exclusive), oldest first, each with `at`, `attempt` and `lock`."""
        ...

    async def clear_logs(self, job_id: str, /) -> int:
        """Delete the job's lines and return how many there were."""
        ...

    async def get_attempts(self, job_id: str, /) -> Sequence[Attempt]:
        """Return the runs of a job that ended, oldest first; the one going on is not among them.

        Each has `hostname` and `pid` of its worker, where that is one of the last `WORKERS_KEPT` that were opened.
        The last `conveyor.model.retention.ATTEMPTS_KEPT` are kept at least; older ones go.
        """
        ...

    async def cancel_job(self, job_id: str, reason: str, /) -> JobData:
        """End a waiting, delayed or active job as cancelled, and return it as it is now.

        An active job's lock is lost by that: its run can write nothing more, and REVOKED is published.

        Raises:
            JobNotFoundError, InvalidJobStateError
        """
        ...

    async def promote_job(self, job_id: str, /) -> JobData:
        """Make a delayed job wait, available now, and return it.

        Raises:
            JobNotFoundError, InvalidJobStateError
        """
        ...

    async def rerun_job(self, job_id: str, payload: bytes | None = None, /) -> JobData:
        """Make a settled job wait again, available now, with no attempts or stalls made, and return it.

        Its result, error and progress are cleared; attempts and logs stay as history. `payload` replaces its own.

        Raises:
            JobNotFoundError, InvalidJobStateError
        """
        ...

    async def remove_job(self, job_id: str, /) -> None:
        """Delete a job that is not active, with its logs and history.

        Raises:
            JobNotFoundError, InvalidJobStateError
        """
        ...

    async def update_data(self, job_id: str, payload: bytes, /) -> JobData:
        """Give a live job another payload, and return it. A run that goes on keeps the one it was fetched with.

        The same add again is still recognised by the payload that the job was added with.

        Raises:
            JobNotFoundError, InvalidJobStateError
        """
        ...

    async def change_delay(self, job_id: str, delay: timedelta, /) -> JobData:
        """Let a delayed job be due `delay` from now, and return it: delayed still, also where that is at once.

        Raises:
            JobNotFoundError, InvalidJobStateError
        """
        ...

    async def change_priority(self, job_id: str, priority: int, /) -> JobData:
        """Give a live job that is not active another priority, and return it; otherwise it keeps its place.

        Raises:
            JobNotFoundError, InvalidJobStateError
        """
        ...

    async def move_to_delayed(self, job_id: str, run_at: datetime, /) -> JobData:
        """Let a waiting, delayed or active job become due at this time, and return it; one in the past is due now.

        An active job's lock is lost by that, REVOKED is published, and its history gets a SNOOZED attempt that is
        not counted: a handler may put its own job off, and its end does not bring it back.

        Raises:
            JobNotFoundError, InvalidJobStateError
        """
        ...

    async def move_to_failed(self, job_id: str, reason: str, /) -> JobData:
        """End a live job as failed, and return it as it is then, though `remove_on_fail` may have removed it.

        An active job's lock is lost by that, and REVOKED is published. Its error has the type ``MovedToFailed``.

        Raises:
            JobNotFoundError, InvalidJobStateError
        """
        ...

    async def discard(self, job_id: str, /) -> JobData:
        """Let a live job have no attempt after the one that goes on, or that comes next, and return it.

        A counted settlement of it that would run it again, with RETRY or DELAY, fails it instead, with the same
        error, as `conveyor.model.settlement.as_discarded` says, and is known when it is repeated. A run that is
        snoozed, handed back or stalls is no attempt. A rerun job may be retried again.

        Raises:
            JobNotFoundError, InvalidJobStateError
        """
        ...

    async def get_next_delayed_timestamp(self, queue_names: Sequence[str], /) -> datetime | None:
        """Return when the next delayed job of these queues is due, or None."""
        ...

    async def promote_delayed_jobs(self, queue_names: Sequence[str], /, *, limit: int = 1000) -> int:
        """Make delayed jobs whose time has come wait, available since their time; return how many (at most limit)."""
        ...

    async def expire_jobs(self, *, limit: int = 1000) -> int:
        """Cancel live jobs that are not active and whose `expires_at` has come; return how many (at most limit).

        Their error has the type ``Expired``, and FINISHED is published. It concerns the start of a run: one that
        goes on is left alone, and a retry of it that would begin later is expired in its turn. A fetch gives out
        no such job, whether or not anybody called this before. A rerun job expires no more.
        """
        ...

    async def remove_outdated_jobs(
        self, queue_names: Sequence[str], retention: Retention, /, *, limit: int = 1000
    ) -> int:
        """Remove settled jobs of these queues that are to be kept no longer; return how many.

        These are at most `limit`, unless the store can drop more in one go as cheaply.

        A job is outdated once it ended `max_age` ago or longer, once `kept_for` of its settlement is over, or while
        `max_count` jobs of its queue, whatever their settled state, ended later; which of those that ended at one
        moment count as later is open. The shortest wins. One atomic step, which removes jobs as `remove_job` does,
        with their logs and history. A job that was rerun is live and stays; settled again, it counts from its new
        end. The settlement of a job that was removed so is refused as NOT_FOUND when it is repeated.

        The cost depends on what is removed and, per queue with a `max_count`, on that number, for so many jobs are
        counted in an index; it does not grow with what is kept otherwise. A settlement without `kept_for` pays nothing.
        """
        ...

    async def get_stalled_jobs(self, threshold: timedelta, /, *, limit: int = 1000) -> Sequence[JobData]:
        """Look only: return active jobs whose lock has been over for longer than `threshold`."""
        ...

    async def reclaim_stalled_jobs(self, max_stalled: int, /, *, limit: int = 1000) -> Sequence[JobData]:
        """Take active jobs whose lock is over away from their workers; return them as they are now.

        One atomic step that checks the lock again. Each counts one stall and no attempt, and gets a STALLED
        attempt in its history; it waits at its old place, or fails once it stalled more than `max_stalled` times.
        """
        ...
