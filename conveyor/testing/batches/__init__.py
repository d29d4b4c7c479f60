"""For authors of batch job strategies: a run without an app, that keeps its steps and can be killed at any of them."""

from __future__ import annotations

from conveyor.testing.batches.fake_run import FakeBatchJobs, FakeBatchRun, RunKilledError
from conveyor.testing.batches.killing import BatchEnd, run_batch
from conveyor.testing.batches.proving import BatchTrial, prove_resume

__all__ = ["BatchEnd", "BatchTrial", "FakeBatchJobs", "FakeBatchRun", "RunKilledError", "prove_resume", "run_batch"]
