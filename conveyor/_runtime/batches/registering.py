"""Registering batch strategies: each brings the handlers of the jobs that work for its batch jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conveyor._runtime.batches.passing_on import PassingOn
from conveyor._runtime.batches.working import BatchWork
from conveyor._services.batches import creating
from conveyor._services.batches.jobs import created_by_job, part_name, pre_process_name
from conveyor._services.batches.strategies import CREATE, make_strategy
from conveyor._services.context import JobContext
from conveyor._services.handlers import make_handler, make_process
from conveyor.errors import ConfigurationError, DuplicateBatchJobError, StoreUnavailableError
from conveyor.model.batches.options import CreateOptions
from conveyor.model.options import NOW, JobOptions
from conveyor.model.outcomes import Cancel, Failed, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from conveyor._runtime.batches.service import BatchRuns
    from conveyor.contracts.batch_job import BatchJobStrategy

__all__ = ["register"]


def register(runs: BatchRuns, given: BatchJobStrategy) -> None:
    """Let a strategy process the batch jobs of its type in this program.

    Raises:
        ConfigurationError: it is no strategy, another has its type or identifier, or the app is open.
    """
    services = runs.services
    if services.is_open:
        raise ConfigurationError("the app is open, and opens no more strategies: register them before")
    strategy = make_strategy(given)
    services.batches.add(strategy)
    work = BatchWork(runs, strategy)
    _add(runs, pre_process_name(strategy.batch_type), work.pre_process)
    _add(runs, strategy.batch_type, work.process)
    _add(runs, part_name(strategy.batch_type), work.parts.process)
    if services.handlers.find(services.batches.queue_name, CREATE) is None:
        _add(runs, CREATE, _Creation(runs).create)
        pass_on = PassingOn(services).process
        services.handlers.stand_in(make_process(services.batches.queue_name, pass_on, JobOptions(), NOW))


def _add(runs: BatchRuns, name: str, function: Callable[..., Any]) -> None:
    services = runs.services
    services.handlers.add(make_handler(services.batches.queue_name, name, function, JobOptions(), NOW))


class _Creation:
    """What the jobs do that create batch jobs."""

    def __init__(self, runs: BatchRuns) -> None:
        self._services = runs.services

    async def create(
        self,
        context: JobContext,
        batch_type: str,
        batch_context: dict[str, Any],
        *,
        dry_run: bool = False,
        created_by: str | None = None,
        confirmation: str | None = None,
        force: bool = False,
    ) -> str | Outcome:
        """Create a batch job under an id that is always the same, and return that.

        Raises:
            BatchJobError: this program has no strategy of the type. One that has may run the next attempt.
            StoreUnavailableError
        """
        self._services.batches.get(batch_type)
        batch_id = created_by_job(context.job.id)
        store = self._services.batch_store("a job that creates a batch job")
        if await store.get_batch(batch_id) is not None:
            # By a run before this one, which died before its end was written.
            return batch_id
        options = CreateOptions(dry_run, created_by, confirmation, force)
        try:
            await creating.create(self._services, batch_type, batch_context, options, batch_id=batch_id)
        except DuplicateBatchJobError as exc:
            return Cancel(str(exc))
        except StoreUnavailableError:
            raise
        except Exception as exc:  # noqa: BLE001 - what a strategy refuses once it refuses again
            return Failed(exc, retry=False)
        return batch_id
