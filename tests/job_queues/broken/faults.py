"""Which test of the kit names which fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.job_queues.broken import delivered, kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conveyor._builtin.store_queue import StoreJobQueue
    from tests.post_office import PostQueue

__all__ = ["DELIVERED", "KEPT"]

KEPT: Final[Mapping[type[StoreJobQueue], str]] = {
    kept.FirstOfManyAdded: "test_each_of_many_jobs_runs_once",
    kept.AddedInReverse: "test_jobs_run_in_the_order_in_which_they_were_added",
    kept.EveryAddIsNew: "test_the_same_add_again_adds_nothing_and_another_job_under_its_id_is_refused",
    kept.DelaysDropped: "test_a_delayed_job_runs_when_its_time_has_come",
    kept.PrioritiesDropped: "test_a_lower_priority_runs_first",
    kept.StopNamesWhatRuns: "test_what_a_stop_hands_back_has_not_begun_and_runs_elsewhere",
    kept.FiltersIgnored: "test_a_search_finds_what_matches",
    kept.NewestFirstAlways: "test_a_search_goes_page_by_page_in_either_order",
    kept.LimitsIgnored: "test_a_search_goes_page_by_page_in_either_order",
    kept.FoundInItsOwnOrder: "test_jobs_are_found_by_their_ids_in_the_order_that_is_asked_for",
    kept.AgesIgnored: "test_only_settled_jobs_of_the_queues_named_are_removed",
    kept.CancelsWhatEnded: "test_a_job_that_ended_cannot_be_cancelled",
}

DELIVERED: Final[Mapping[type[PostQueue], str]] = {
    delivered.EveryHandBackCounts: "test_what_is_handed_back_comes_again_at_once",
    delivered.HandedBackAtOnce: "test_what_is_handed_back_with_a_delay_comes_after_it",
    delivered.SettledAndKept: "test_what_is_settled_never_comes_again",
    delivered.ExtendsNothing: "test_what_is_extended_stays",
    delivered.AnybodyMaySettle: "test_what_nobody_settles_goes_to_another_who_alone_may_settle_it",
    delivered.StopWakesNobody: "test_stopping_ends_a_fetch_that_waits",
}
