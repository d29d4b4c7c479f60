"""Which test of the kit names which fault, and which faults the state machine finds by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.conformance.broken import commands, fetching, locks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.conformance.broken.bench import Fault

__all__ = ["ASKED", "CAUGHT_BY", "FOUND_BY_MACHINE", "MACHINE", "WHOLE"]

WHOLE: Final = fetching.Fetching

CAUGHT_BY: Final[Mapping[Fault, str]] = {
    locks.TokenIgnoredAtSettle: "test_a_zombie_cannot_settle",
    locks.TokenIgnoredAtExtend: "test_a_zombie_cannot_extend",
    locks.TokenIgnoredAtRelease: "test_a_zombie_cannot_release",
    locks.TokenIgnoredAtLogs: "test_a_zombie_cannot_log",
    locks.TokenIgnoredAtProgress: "test_a_zombie_cannot_report_progress",
    locks.ExpiredLockRefusedAtSettle: "test_an_expired_lock_that_nobody_reclaimed_can_settle",
    locks.CancelKeepsTheLock: "test_a_cancelled_run_can_write_nothing_more",
    locks.LostLocksNotTold: "test_extending_tells_which_locks_are_lost_and_keeps_the_others",
    locks.UnexpiredLocksReclaimed: "test_a_held_job_is_not_stalled",
    locks.OneStallTooMany: "test_a_job_that_stalls_too_often_fails_and_says_why",
    locks.StallCountsAnAttempt: "test_a_reclaimed_job_counts_a_stall_and_no_attempt",
    locks.ClosingKeepsTheLocks: "test_closing_releases_what_the_session_holds",
    locks.ReconcilingReleasesEverything: "test_reconciling_leaves_fetches_after_the_number_given_alone",
    fetching.OrderedByIdOnly: "test_jobs_go_first_in_first_out",
    fetching.SequenceIgnored: "test_jobs_added_at_the_same_moment_go_by_sequence",
    fetching.PriorityIgnoredAfterRerun: "test_a_rerun_job_keeps_its_priority",
    fetching.LifoWantIgnored: "test_a_lifo_want_turns_the_order_within_a_priority_round",
    fetching.LifoOptionIgnored: "test_lifo_jobs_go_before_the_others_newest_first",
    fetching.PausesIgnoredByLaterWants: "test_a_pause_holds_for_every_want_of_one_fetch",
    fetching.ReleasedJobsGoToTheEnd: "test_released_jobs_stand_at_their_old_places",
    fetching.SelectApartFromUpdate: "test_many_fetchers_get_no_job_twice",
    fetching.RepeatedFetchLocksAnew: "test_the_same_fetch_number_gives_the_same_jobs",
    fetching.FetchWithoutASession: "test_a_fetch_without_a_session_is_refused",
    fetching.FetchShortensTheLock: "test_a_fetch_never_shortens_the_lock",
    fetching.JobNameOfAWantIgnored: "test_a_want_of_one_name_passes_over_the_others",
    commands.BulkSaveInPieces: "test_a_cancelled_add_happened_or_did_not",
    commands.RepeatedAddIsADuplicate: "test_the_same_add_again_adds_nothing",
    commands.RepeatedAddStartsAnew: "test_the_same_add_after_the_job_settled_adds_nothing",
    commands.RepeatedAddComparesTheNewPayload: ("test_the_same_add_after_a_rerun_with_another_payload_adds_nothing"),
    commands.PayloadReparsedAsJson: "test_a_payload_comes_back_byte_for_byte",
    commands.ItsOwnDataHandedOut: "test_what_was_handed_in_or_out_changes_nothing_more",
    commands.BulkSettleStopsAtTheFirstRefused: "test_one_refused_settlement_does_not_stop_the_others",
    commands.RepeatedSettleRefused: "test_settling_again_changes_nothing",
    commands.RemovedJobsForgotten: "test_the_same_settlement_of_a_removed_job_is_not_refused",
    commands.SnoozeCountsAnAttempt: "test_a_snooze_counts_no_attempt",
    commands.SettleOutcomeNotCompared: "test_another_settlement_under_the_same_token_is_refused",
    commands.DelayedJobsPromotedEarly: "test_a_job_is_not_promoted_before_its_time",
    commands.PromotionForgetsTheTime: "test_a_late_promotion_keeps_the_time_the_job_was_due",
    commands.RunningJobsRemoved: "test_an_illegal_command_is_refused_and_changes_nothing",
    commands.RerunKeepsAttempts: "test_a_rerun_clears_what_the_last_run_left",
    commands.CountsOfAllQueues: "test_counts_name_every_state",
    commands.ListsTurnedRound: "test_settled_jobs_are_listed_newest_end_first",
    commands.DrainTakesRunningJobs: "test_draining_removes_what_has_not_begun",
    commands.CleanIgnoresTheGrace: "test_cleaning_respects_the_grace",
    commands.PromotionNotHeard: "test_a_promotion_by_time_is_heard",
    commands.ReleaseNotHeard: "test_a_release_is_heard",
    commands.RerunNotHeard: "test_a_rerun_is_heard",
    commands.CancelNotHeard: "test_a_cancel_of_a_running_job_names_the_job",
}

MACHINE: Final = "test_random_commands_answer_as_the_reference_does"

# Faults that the state machine finds whatever it draws; with luck it finds about half of all.
FOUND_BY_MACHINE: Final[Sequence[Fault]] = (
    fetching.OrderedByIdOnly,
    fetching.LifoOptionIgnored,
    fetching.RepeatedFetchLocksAnew,
    commands.RepeatedAddIsADuplicate,
    commands.PromotionForgetsTheTime,
)

ASKED: Final[Mapping[Fault, Sequence[str]]] = {
    fault: [test, MACHINE] if fault in FOUND_BY_MACHINE else [test] for fault, test in CAUGHT_BY.items()
}
