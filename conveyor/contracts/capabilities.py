"""What a store declares of itself: fine differences that the conformance kit and core ask for."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen

__all__ = ["CONTRACT_VERSION", "OLDEST_CONTRACT_VERSION", "Capabilities", "Durability", "Guarantees"]

# Raised when a contract changes so that an older plugin no longer keeps it.
CONTRACT_VERSION: Final = 1
# Plugins written for this version, or for one between the two, still work.
OLDEST_CONTRACT_VERSION: Final = 1


class Durability(StrEnum):
    """What an acknowledged write survives; each includes those before it."""

    NOTHING = "nothing"
    PROCESS_CRASH = "process_crash"
    POWER_LOSS = "power_loss"


@frozen
class Guarantees:
    """What an acknowledged add, and an acknowledged settle, survives."""

    add: Durability
    settle: Durability


@frozen
class Capabilities:
    """What a store can do beyond the required facets. The kit takes its skips from these flags alone.

    Attributes:
        is_durable: what was written is there again when the store is closed and opened.
        is_shared: several processes may open the same store at once.
        has_notifications: `notifier` is there, and a hint arrives without polling.
        has_inspection: `inspection` is there.
        has_transactions: `transactions` is there, and `save_jobs_in` joins its callers' own.
        has_schedules: `schedules` is there.
        has_deduplication: `save_jobs` heeds `NewJob.deduplication`, and `find_by_deduplication_key` finds.
        has_flows: `flows` is there.
        has_limits: `limits` is there, and jobs may have groups.
        has_metrics: `metrics` is there, and settling counts.
        has_events: `events` is there.
        has_buffers: `buffers` is there.
        has_batches: `batches` is there.
        has_batch_parts: `batch_parts` is there, and steps may be those of parts.
        has_error_groups: `inspection` lists groups of failed jobs, and finds the jobs of a `JobFilter.error_group`.
    """

    is_durable: bool
    is_shared: bool
    has_notifications: bool
    has_inspection: bool
    has_transactions: bool
    has_schedules: bool = False
    has_deduplication: bool = False
    has_flows: bool = False
    has_limits: bool = False
    has_metrics: bool = False
    has_events: bool = False
    has_buffers: bool = False
    has_batches: bool = False
    has_batch_parts: bool = False
    has_error_groups: bool = False
