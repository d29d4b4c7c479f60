"""For authors of batch job strategies: a run without an app, that keeps its steps and can be killed at any of them."""

from __future__ import annotations

from conveyor.testing.batches.fake_run import FakeBatchJobs, FakeBatchRun, RunKilledError

__all__ = ["FakeBatchJobs", "FakeBatchRun", "RunKilledError"]
