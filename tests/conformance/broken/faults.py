"""Which test of the kit names which fault, and which faults the state machine finds by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.conformance.broken import (
    batches,
    buffers,
    commands,
    deduplication,
    events,
    fetching,
    flows,
    inspection,
    limits,
    locks,
    metrics,
    retention,
    schedules,
    starts,
    transactions,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.conformance.broken.bench import Fault
    from tests.conformance.broken.transactions import TransactionFault

__all__ = [
    "ASKED",
    "ASKED_IN_TRANSACTIONS",
    "CAUGHT_BY",
    "CAUGHT_IN_TRANSACTIONS",
    "FOUND_BY_MACHINE",
    "FOUND_IN_TRANSACTIONS_BY_MACHINE",
    "MACHINE",
    "WHOLE",
]

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
    locks.StallOfARunForgotten: "test_a_run_whose_worker_lives_may_end_by_a_stall",
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
    fetching.LostSessionsUnnamed: "test_a_fetch_after_the_session_closed_is_refused",
    fetching.SettlesBeforeItLooks: "test_a_settle_that_fetches_without_a_session_is_refused_and_settles_nothing",
    fetching.FetchShortensTheLock: "test_a_fetch_never_shortens_the_lock",
    fetching.JobNameOfAWantIgnored: "test_a_want_of_one_name_passes_over_the_others",
    commands.BulkSaveInPieces: "test_a_cancelled_add_happened_or_did_not",
    commands.DiscardForgotten: "test_a_discarded_job_fails_instead_of_another_attempt",
    commands.PutOffUnderItsLock: "test_a_run_that_puts_its_job_off_can_not_end_it",
    commands.NewPriorityAtTheOldPlace: "test_a_new_priority_is_a_new_place",
    commands.RepeatedAddIsADuplicate: "test_the_same_add_again_adds_nothing",
    commands.RepeatedAddStartsAnew: "test_the_same_add_after_the_job_settled_adds_nothing",
    commands.RepeatedAddComparesTheNewPayload: ("test_the_same_add_after_a_rerun_with_another_payload_adds_nothing"),
    deduplication.KeyLookedUpFirst: "test_of_many_tasks_that_add_one_key_one_adds",
    deduplication.KeptIsCalledAdded: "test_the_first_with_a_key_is_added_and_the_second_is_told",
    deduplication.NameNotInTheKey: "test_the_queue_and_the_name_belong_to_the_key",
    deduplication.AnswersForgotten: "test_the_same_add_again_is_answered_alike_and_changes_nothing",
    deduplication.WindowEndsWithItsJob: "test_a_window_stands_whatever_becomes_of_its_job",
    deduplication.RunningJobsReplaced: "test_a_job_that_runs_is_not_changed_and_another_is_added",
    deduplication.TimeOfAKeyIgnored: "test_a_key_is_free_when_its_time_is_over",
    deduplication.RerunTakesTheKeyBack: "test_a_job_that_is_rerun_after_its_key_was_taken_runs_without",
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
    retention.LiveJobsOutdated: "test_a_live_job_never_goes",
    retention.AgeExceeded: "test_a_settled_job_goes_at_the_age_and_not_before",
    retention.OwnDurationIgnored: "test_a_completed_job_goes_by_its_own_duration",
    retention.NumberOfAllQueues: "test_the_number_is_that_of_each_queue",
    retention.NewestGoFirst: "test_of_too_many_the_newest_ends_stay",
    retention.OrderedByTheAdd: "test_the_newest_are_those_that_ended_last_not_those_added_last",
    starts.ExpiredJobsFetched: "test_a_fetch_gives_out_nothing_that_expired",
    starts.RunningJobsExpired: "test_a_run_that_began_in_time_goes_on",
    starts.RerunKeepsTheExpiry: "test_a_rerun_job_expires_no_more",
    starts.SuspectsAmongTheOthers: "test_an_ordinary_fetch_passes_over_suspects",
    starts.SeveralSuspectsAtOnce: "test_a_session_is_given_no_second_suspect",
    starts.SuspectsNotTold: "test_the_queues_with_suspects_are_told",
    commands.PromotionNotHeard: "test_a_promotion_by_time_is_heard",
    commands.ReleaseNotHeard: "test_a_release_is_heard",
    commands.RerunNotHeard: "test_a_rerun_is_heard",
    commands.CancelNotHeard: "test_a_cancel_of_a_running_job_names_the_job",
    limits.CheckedBeforeTheFetch: "test_limits_are_exact_whatever_fetches_at_once",
    limits.CancelKeepsThePlace: "test_whatever_ends_a_run_gives_its_place_back",
    limits.FullNamesHoldUpOthers: "test_jobs_of_a_full_name_hold_up_nothing_else",
    limits.RunningJobsNotCounted: "test_what_runs_already_is_counted",
    limits.WindowsBeginAnew: "test_a_window_lets_no_more_start_in_any_stretch_of_its_time",
    limits.StartsForgotten: "test_a_rate_that_replaces_another_counts_what_started",
    limits.RoomNotTold: "test_when_there_is_room_again_is_told_to_those_who_wait",
    limits.FirstComeFirstServed: "test_a_flood_delays_another_group_by_one_turn",
    limits.SizeNotAsked: "test_a_full_group_refuses_jobs",
    metrics.RepeatedEndsCounted: "test_a_refused_or_repeated_end_counts_nothing",
    metrics.StallsNotCounted: "test_a_job_whose_worker_died_counts_a_stall",
    metrics.OldMinutesDropped: "test_old_minutes_are_added_up_to_hours",
    metrics.YoungHoursAddedUp: "test_what_is_younger_is_not_added_up",
    metrics.WindowsIgnored: "test_a_window_has_the_spans_that_end_in_it",
    inspection.FilterNotCheckedAgain: "test_a_bulk_change_skips_what_is_gone_or_matches_no_more",
    inspection.BulkStopsAtTheFirstRefused: "test_a_bulk_change_does_what_the_table_says_and_skips_the_rest",
    inspection.ReasonForgotten: "test_a_bulk_cancel_keeps_its_reason_and_takes_locks_away",
    flows.AddedWhereNew: "test_a_taken_id_leaves_nothing_added",
    flows.ParentsRunAtOnce: "test_parents_are_counted_and_listed_and_not_fetched",
    flows.LockIgnoredAtAddChildren: "test_a_run_that_lost_its_lock_adds_nothing",
    flows.DelayIgnored: "test_a_parents_delay_begins_when_its_children_have_ended",
    flows.ResultsForgotten: "test_a_childs_result_stays_when_its_record_goes",
    flows.CancelTellsNobody: "test_a_child_that_did_not_complete_fails_its_parent",
    flows.RerunNotWaitedFor: "test_a_rerun_child_is_waited_for_again",
    flows.CancelledParentsRevived: "test_a_cancelled_parent_is_not_revived",
    flows.DrainTellsNobody: "test_a_child_that_did_not_complete_fails_its_parent",
    batches.RunsNotCompared: "test_a_zombie_saves_nothing",
    batches.ChangesOfZombies: "test_a_zombie_changes_nothing",
    batches.JobAddedBefore: "test_one_that_failed_is_tried_again_unless_another_has_its_identity",
    batches.JobsAddedApart: "test_a_change_whose_job_is_another_is_not_made",
    batches.ChangesForgotten: "test_the_same_change_again_changes_nothing_more",
    batches.StepsSavedAgain: "test_a_step_that_was_saved_changes_nothing",
    batches.ErrorsOfZombies: "test_a_zombie_saves_nothing",
    batches.IdentityCheckedBefore: "test_of_many_that_are_the_same_one_is_created",
    batches.SettledJobsNotSeen: "test_one_whose_job_ended_is_stranded_and_told_how",
    buffers.ClearedWhenTaken: "test_a_flush_that_dies_with_its_jobs_is_done_by_another",
    buffers.WholeBufferRemoved: "test_what_comes_while_a_buffer_is_taken_stays_there",
    buffers.TakenByAll: "test_nobody_else_takes_from_a_buffer_that_is_taken",
    buffers.TokensNotCompared: "test_a_flush_that_comes_back_too_late_adds_nothing",
    buffers.CommitsForgotten: "test_a_commit_whose_answer_was_lost_changes_nothing_more",
    buffers.TracesForgotten: "test_a_commit_removes_adds_and_leaves_a_trace",
    buffers.AddsAfterwards: "test_jobs_are_taken_and_added_in_the_order_in_which_they_came",
    buffers.NewestFirst: "test_jobs_are_taken_and_added_in_the_order_in_which_they_came",
    buffers.FailuresForgotten: "test_jobs_that_could_not_be_reduced_can_be_added_as_failed",
    schedules.TimesNotMovedOn: "test_a_tick_fires_once",
    schedules.OpenJobsForgotten: "test_no_job_is_added_while_one_has_not_ended",
    schedules.OldJobsKept: "test_the_old_job_is_cancelled_for_the_new",
    schedules.PausesForgotten: "test_it_stays_paused_when_it_is_asked_for_again",
    schedules.LookApartFromFiring: "test_tasks_that_fire_at_once_fire_each_tick_once",
    schedules.JobsRemovedWithTheirSchedule: "test_a_removed_one_is_gone_and_its_jobs_are_not",
    schedules.NewTimesNotHeard: "test_a_new_time_is_published",
    events.ThePastIsRead: "test_each_watcher_reads_everything",
    events.OtherQueuesRead: "test_other_queues_are_not_read",
    events.ResultsLeftOut: "test_a_run_is_read_from_its_add_to_its_result",
    events.PagesOverlap: "test_pages_follow_one_another_without_gaps",
    events.EndsBeforeRemovalsForgotten: "test_a_job_that_goes_as_it_ends_is_read_to_its_end",
    events.WatchersStayForEver: "test_a_watcher_that_went_without_a_word_costs_nothing_in_the_end",
    events.PrunedTooSoon: "test_what_was_written_just_now_is_not_pruned",
}

CAUGHT_IN_TRANSACTIONS: Final[Mapping[TransactionFault, str]] = {
    transactions.LockNotAskedAtBegin: "test_a_zombie_cannot_commit",
    transactions.TokenIgnoredAtCommit: "test_a_commit_under_a_strangers_lock_leaves_nothing",
    transactions.ReportsForgotten: "test_a_commit_completes_the_job_with_what_was_written",
    transactions.WrittenBesideTheTransaction: "test_a_commit_under_a_strangers_lock_leaves_nothing",
    transactions.RollbackKeepsTheRows: "test_a_rollback_leaves_nothing",
    transactions.RollbackKeepsTheFlow: "test_a_rollback_leaves_nothing_of_a_flow",
    transactions.EndlessTransactions: "test_a_transaction_that_takes_too_long_is_rolled_back_by_the_store",
}

MACHINE: Final = "test_random_commands_answer_as_the_reference_does"

# Faults that the state machine finds whatever it draws; with luck it finds about half of all.
FOUND_BY_MACHINE: Final[Sequence[Fault]] = (
    fetching.OrderedByIdOnly,
    fetching.LifoOptionIgnored,
    fetching.RepeatedFetchLocksAnew,
    commands.RepeatedAddIsADuplicate,
    commands.PromotionForgetsTheTime,
    flows.ParentsRunAtOnce,
    flows.DelayIgnored,
)

FOUND_IN_TRANSACTIONS_BY_MACHINE: Final[Sequence[TransactionFault]] = (transactions.RollbackKeepsTheRows,)

ASKED: Final[Mapping[Fault, Sequence[str]]] = {
    fault: [test, MACHINE] if fault in FOUND_BY_MACHINE else [test] for fault, test in CAUGHT_BY.items()
}

ASKED_IN_TRANSACTIONS: Final[Mapping[TransactionFault, Sequence[str]]] = {
    fault: [test, MACHINE] if fault in FOUND_IN_TRANSACTIONS_BY_MACHINE else [test]
    for fault, test in CAUGHT_IN_TRANSACTIONS.items()
}
