"""The conformance kit for job queue strategies. Subclass `JobQueueConformance` and give it a way to make one.

Override its fixture::

    class TestInline(JobQueueConformance):
        @pytest.fixture
        def make_strategy(self) -> MakeStrategy:
            return InlineJobQueue

Every test wants an empty place. Skips come from the strategy's capabilities and protocols alone.
"""

from __future__ import annotations

from pkgutil import iter_modules

import pytest

# Before the themes are imported, or their failures would show no values; this package itself is too late for it.
for _theme in iter_modules(__path__, f"{__name__}."):
    pytest.register_assert_rewrite(_theme.name)

from conveyor.testing.job_queues.delivering import DeliveringConformance  # noqa: E402
from conveyor.testing.job_queues.inspecting import InspectingConformance  # noqa: E402
from conveyor.testing.job_queues.keeping import KeepingConformance  # noqa: E402
from conveyor.testing.job_queues.kit import MakeStrategy  # noqa: E402
from conveyor.testing.job_queues.running import RunningConformance  # noqa: E402

__all__ = ["JobQueueConformance", "MakeStrategy"]


class JobQueueConformance(RunningConformance, KeepingConformance, InspectingConformance, DeliveringConformance):
    """Everything a job queue strategy promises."""
