"""The NATS job queue's entry in conveyor's plugin list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conveyor.contracts.capabilities import CONTRACT_VERSION
from conveyor.contracts.providers import JobQueueProvider
from conveyor.hookspecs import hookimpl
from conveyor_plugin_nats.options import SCHEMES, NatsOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conveyor.contracts.job_queue import JobQueueStrategy

__all__ = ["conveyor_job_queues"]


@hookimpl
def conveyor_job_queues() -> Sequence[JobQueueProvider]:
    """Offer the strategy under the name "nats", with options from the settings, and under its URLs."""
    return (
        JobQueueProvider(
            name="nats",
            create=_create,
            contract_version=CONTRACT_VERSION,
            options=NatsOptions,
            schemes=tuple(SCHEMES),
            create_from_url=_create,
        ),
    )


def _create(given: str | NatsOptions) -> JobQueueStrategy:
    from conveyor_plugin_nats.queue import NatsJobQueue

    return NatsJobQueue(given)
