"""Strategies for these tests: they count rows, one by one, and do what a test says on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conveyor import AbstractBatchJobStrategy, RowError, RowOutcome

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from conveyor.contracts.batch_job import BatchRun

__all__ = ["Counting", "SeedOnly"]


class SeedOnly:
    """Has what the seed asks for, and nothing else."""

    identifier = "seed-only"
    batch_type = "seed"

    def __init__(self) -> None:
        self.processed: list[str] = []

    async def process_job(self, batch_job_id: str) -> None:
        self.processed.append(batch_job_id)

    async def build_template(self) -> str:
        return ""


class Counting(AbstractBatchJobStrategy):
    """Goes through as many rows as its context says, and saves after each.

    `at_row` is called with the run before each row is saved; `told` has the hooks that were called, `rows` the rows.
    """

    identifier = "counting"
    batch_type = "count"

    def __init__(self, at_row: Callable[[BatchRun, int], Awaitable[object]] | None = None) -> None:
        self.at_row = at_row
        self.rows: list[int] = []
        self.told: list[str] = []
        self.is_retried = False

    async def prepare_batch_job_for_processing(
        self, context: Mapping[str, Any], request: Mapping[str, Any] | None, /
    ) -> Mapping[str, Any]:
        return {**context, "user": None if request is None else request["user"]}

    async def validate_context(self, context: Mapping[str, Any], /) -> None:
        if context.get("rows", 0) < 0:
            raise ValueError("there are no such rows")

    async def pre_process_batch_job(self, batch_job_id: str, /) -> None:
        run = self.batch_jobs.run(batch_job_id)
        assert run.is_pre_processing
        if run.context.get("is_counted", True):
            run.set_total(run.context.get("rows", 0))
        run.set_result({"seen": True})

    async def process_job(self, batch_job_id: str, /) -> None:
        run = self.batch_jobs.run(batch_job_id)
        bad = set(run.context.get("bad", ()))
        for number in range((run.cursor or 0) + 1, run.context.get("rows", 0) + 1):
            if self.at_row is not None:
                await self.at_row(run, number)
            self.rows.append(number)
            failed = len([one for one in bad if one <= number])
            await run.save(
                cursor=number,
                done=number,
                counts={RowOutcome.DONE: number - failed, RowOutcome.FAILED: failed},
                errors=[RowError(number, "bad", "it is bad", "name", f"row {number}")] if number in bad else (),
                message=f"row {number}",
            )

    async def post_process(self, batch_job_id: str, /) -> None:
        run = self.batch_jobs.run(batch_job_id)
        run.set_result({**(run.result or {}), "rows": len(self.rows)})

    async def build_template(self) -> str:
        return "name\n"

    async def should_retry_on_processing_error(self, batch_job: Any, error: Exception, /) -> bool:
        return self.is_retried

    async def handle_processing_error(self, batch_job_id: str, error: Exception, /) -> None:
        self.told.append(f"handle {error}")

    async def before_processing(self, batch_job_id: str, /) -> None:
        self.told.append("before")

    async def after_processing(self, batch_job_id: str, /) -> None:
        self.told.append("after")

    async def on_failure(self, batch_job_id: str, error: Exception, /) -> None:
        self.told.append(f"failure {error}")

    async def on_cancel(self, batch_job_id: str, /) -> None:
        self.told.append("cancel")
