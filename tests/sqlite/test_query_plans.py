"""The plans of hot statements: the index meant, no walk over a table, no sorting."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

import pytest

from conveyor._builtin.sqlite.statements import load_migrations, sql

if TYPE_CHECKING:
    from collections.abc import Iterator

BY_ID = "SEARCH jobs USING COVERING INDEX sqlite_autoindex_conveyor_jobs_1 (id=?)"
# Where all that is looked for may be missing, there is one row to join it to.
OF_ONE_ROW = {"SCAN CONSTANT ROW", "SCAN one"}
# Rows that a statement is given as JSON are read one after another.
OF_GIVEN_ROWS = "SCAN asked VIRTUAL TABLE"


@pytest.fixture(params=[0, 1000], ids=["empty", "1000 rows"])
def connection(request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    for migration in load_migrations():
        connection.executescript(migration.up)
    states = ["waiting", "delayed", "active"]
    ends = ["completed", "failed", "cancelled"]
    for seq in range(1, request.param + 1):
        connection.execute(sql("jobs/save_jobs"), (seq, f"id-{seq}", "mail", "send", b"{}", None, 0, None))
        connection.execute(
            sql("jobs/save_jobs_live"), (seq, "mail", "send", states[seq % 3], 0, seq, seq, seq, None, None)
        )
    for seq in range(request.param + 1, 2 * request.param + 1):
        connection.execute(sql("jobs/save_jobs"), (seq, f"id-{seq}", "mail", "send", b"{}", None, 0, None))
        connection.execute(sql("jobs/save_jobs_live"), (seq, "mail", "send", "active", 0, seq, seq, seq, None, None))
        connection.execute("update conveyor_live set session_id = 's', fetch_number = 1 where seq = ?", (seq,))
        end = (f'["id-{seq}"]', "s", 1, ends[seq % 3], seq, ends[seq % 3], 1)
        assert connection.execute(sql("jobs/settle_jobs_history"), end).rowcount == 1
        connection.execute(sql("jobs/remove_job_live"), (f"id-{seq}",))
    connection.execute("update conveyor_live set session_id = seq, fetch_number = 1 where state = 'active'")
    if request.param:
        connection.execute("analyze")
    yield connection
    connection.close()


def plan(connection: sqlite3.Connection, name: str) -> list[str]:
    statement = sql(name)
    count = max((int(number) for number in re.findall(r"\?(\d+)", statement)), default=0)
    return [row[3] for row in connection.execute(f"explain query plan {statement}", [1] * count)]


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("jobs/fetch_jobs", "SEARCH conveyor_live USING INDEX conveyor_live_ready (queue=?)"),
        ("jobs/fetch_jobs_named", "SEARCH conveyor_live USING INDEX conveyor_live_ready (queue=?)"),
        ("jobs/fetch_jobs_priority", "SEARCH conveyor_live USING INDEX conveyor_live_ready (queue=? AND priority>?)"),
        (
            "jobs/fetch_jobs_lifo",
            "SEARCH conveyor_live USING INDEX conveyor_live_ready (queue=? AND priority=? AND order_at>?)",
        ),
        (
            "jobs/fetch_jobs_lifo_own",
            "SEARCH conveyor_live USING INDEX conveyor_live_ready (queue=? AND priority=? AND order_at<?)",
        ),
        ("jobs/fetch_jobs_suspect", "SEARCH conveyor_live USING INDEX conveyor_live_suspects (queue=?)"),
        ("jobs/get_suspect_queues", "SEARCH conveyor_live USING INDEX conveyor_live_suspects (queue=?)"),
        ("jobs/fetch_jobs_locked", "SEARCH live USING INDEX conveyor_live_active (session_id=? AND fetch_number=?)"),
        ("jobs/settle_jobs_told", "SEARCH conveyor_flow_edges USING INDEX conveyor_flow_edges_open (child_id=?)"),
        ("jobs/settle_jobs_standing", "SEARCH conveyor_flow_parents USING PRIMARY KEY (job_id=?)"),
        ("jobs/settle_jobs_parent", "SEARCH flow_parents USING PRIMARY KEY (job_id=?)"),
        ("jobs/settle_jobs_kept", BY_ID),
        ("metrics/roll_up", "SEARCH conveyor_run_counts USING PRIMARY KEY (span=? AND start<?)"),
        (
            "metrics/roll_up_forget",
            "SEARCH conveyor_run_counts USING PRIMARY KEY (span=? AND start=? AND queue=? AND name=?)",
        ),
        ("jobs/settle_jobs_again", BY_ID),
        ("jobs/settle_jobs_stalled", BY_ID),
        ("jobs/settle_jobs_attempt", BY_ID),
        ("jobs/settle_jobs_removed", BY_ID),
        ("jobs/release_locks", BY_ID),
        ("jobs/set_progress", BY_ID),
        ("jobs/append_logs", BY_ID),
        ("transactions/begin", BY_ID),
        ("jobs/find_job", "SEARCH jobs USING INDEX sqlite_autoindex_conveyor_jobs_1 (id=?)"),
        ("jobs/extend_locks", "SEARCH conveyor_sessions USING PRIMARY KEY (id=?)"),
        ("jobs/fetch_jobs_number", "SEARCH conveyor_sessions USING PRIMARY KEY (id=?)"),
        ("sessions/renew", "SEARCH conveyor_sessions USING PRIMARY KEY (id=?)"),
        ("queues/get_paused_job_names", "SEARCH conveyor_paused USING PRIMARY KEY (queue=?)"),
        ("queues/list_jobs_settled", "SEARCH history USING INDEX conveyor_history_finished (queue=? AND state=?)"),
        ("jobs/get_next_delayed_timestamp", "conveyor_live_delayed (queue=?)"),
        (
            "jobs/save_jobs_met_keys",
            "SEARCH taken USING INDEX sqlite_autoindex_conveyor_deduplication_keys_1 (queue=? AND",
        ),
        ("jobs/save_jobs_met_keys", "SEARCH jobs USING INDEX sqlite_autoindex_conveyor_jobs_1 (id=?)"),
        ("jobs/save_jobs_met_ids", "SEARCH conveyor_jobs USING COVERING INDEX sqlite_autoindex_conveyor_jobs_1 (id=?)"),
        (
            "jobs/save_jobs_met_ids",
            "SEARCH conveyor_deduplicated_adds USING INDEX conveyor_deduplicated_adds_id (add_id=?)",
        ),
        (
            "jobs/save_jobs_answer",
            "SEARCH conveyor_deduplicated_adds USING INDEX conveyor_deduplicated_adds_id (add_id=?)",
        ),
        ("jobs/save_jobs_forget_adds", "SEARCH conveyor_deduplicated_adds USING INTEGER PRIMARY KEY (rowid<?)"),
        (
            "jobs/save_jobs_forget_keys",
            "SEARCH conveyor_deduplication_keys USING COVERING INDEX conveyor_deduplication_keys_until",
        ),
        (
            "jobs/remove_job_key",
            "SEARCH conveyor_deduplication_keys USING INDEX conveyor_deduplication_keys_job (job_id=?)",
        ),
        ("schedules/fire_schedules", "SEARCH conveyor_schedules USING INDEX conveyor_schedules_due (due_at<?)"),
        ("schedules/fire_schedules_next", "SEARCH conveyor_schedules USING COVERING INDEX conveyor_schedules_due"),
        ("batches/save_step", "SEARCH conveyor_batches USING INDEX sqlite_autoindex_conveyor_batches_1 (id=?)"),
        ("batches/save_step_status", "SEARCH conveyor_batches USING INDEX sqlite_autoindex_conveyor_batches_1 (id=?)"),
        ("batches/change_batch", "SEARCH conveyor_batches USING INDEX sqlite_autoindex_conveyor_batches_1 (id=?)"),
        ("batches/change_batch_holder", "conveyor_batches_identity (batch_type=? AND identity=?)"),
        ("batches/change_batch_same", "conveyor_batch_changes_same (batch_id=? AND change_id=?)"),
        ("batches/get_errors", "SEARCH conveyor_batch_errors USING PRIMARY KEY (batch_id=? AND row_number>?)"),
        ("batches/remove_ended", "SEARCH batches USING INDEX conveyor_batches_ended (updated_at<?)"),
        ("batch_parts/get_parts", "SEARCH conveyor_batch_parts USING PRIMARY KEY (batch_id=?)"),
        ("batch_parts/start_part", "SEARCH conveyor_batch_parts USING PRIMARY KEY (batch_id=? AND number=?)"),
        ("batch_parts/end_part", "SEARCH conveyor_batches USING INDEX sqlite_autoindex_conveyor_batches_1 (id=?)"),
        ("buffers/add", "SEARCH conveyor_jobs USING COVERING INDEX sqlite_autoindex_conveyor_jobs_1 (id=?)"),
        ("buffers/add", "SEARCH conveyor_buffer_merges USING PRIMARY KEY (job_id=?)"),
        (
            "buffers/find_ids",
            "SEARCH conveyor_buffered USING COVERING INDEX sqlite_autoindex_conveyor_buffered_1 (id>? AND id<?)",
        ),
        ("buffers/find_ids", "SEARCH conveyor_buffer_merges USING PRIMARY KEY (job_id>? AND job_id<?)"),
        ("buffers/take_jobs", "SEARCH conveyor_buffered USING INDEX conveyor_buffered_order (buffer=?)"),
        ("buffers/forget_merged", "SEARCH conveyor_buffer_merges USING PRIMARY KEY (job_id=?)"),
        ("schedules/get_schedule", "SEARCH conveyor_schedules USING PRIMARY KEY (id=?)"),
        ("schedules/list_schedules", "SEARCH conveyor_schedules USING PRIMARY KEY (id>?)"),
    ],
)
def test_a_hot_statement_uses_its_index(connection: sqlite3.Connection, name: str, step: str) -> None:
    steps = plan(connection, name)
    assert any(step in found for found in steps), steps
    steps = [found for found in steps if found not in OF_ONE_ROW and not found.startswith(OF_GIVEN_ROWS)]
    assert not any(found.startswith("SCAN") or "TEMP B-TREE" in found for found in steps), steps


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("jobs/fetch_jobs_guard", "SEARCH conveyor_guards USING PRIMARY KEY (queue=?)"),
        (
            "jobs/fetch_jobs_turn",
            "SEARCH conveyor_queue_groups USING INDEX conveyor_queue_groups_turns (queue=? AND (at,group_id)>",
        ),
        (
            "jobs/fetch_jobs_freed",
            "SEARCH conveyor_queue_groups USING COVERING INDEX conveyor_queue_groups_freed (queue=? AND free_at<?)",
        ),
        ("jobs/fetch_jobs_join", "SEARCH live USING INDEX conveyor_live_ready (queue=?)"),
        ("jobs/fetch_jobs_heads", "SEARCH waiting USING INDEX conveyor_live_grouped (queue=? AND group_id=?)"),
        ("jobs/fetch_jobs_heads", "SEARCH live USING INTEGER PRIMARY KEY (rowid=?)"),
        ("jobs/fetch_jobs_head", "SEARCH conveyor_live USING INDEX conveyor_live_grouped (queue=? AND group_id=?)"),
        ("jobs/fetch_jobs_head", "SEARCH conveyor_live USING INDEX conveyor_live_ready (queue=?)"),
        (
            "jobs/fetch_jobs_head_priority",
            "SEARCH conveyor_live USING INDEX conveyor_live_grouped (queue=? AND group_id=?)",
        ),
        (
            "jobs/fetch_jobs_head_own",
            "INDEX conveyor_live_grouped (queue=? AND group_id=? AND priority=? AND order_at<?)",
        ),
        (
            "jobs/fetch_jobs_head_newest",
            "INDEX conveyor_live_grouped (queue=? AND group_id=? AND priority=? AND order_at>?)",
        ),
        ("jobs/fetch_jobs_leave", "SEARCH queue_groups USING PRIMARY KEY (queue=? AND group_id=?)"),
        ("jobs/fetch_jobs_leave", "SEARCH live USING INDEX conveyor_live_grouped (queue=? AND group_id=?)"),
        ("jobs/fetch_jobs_leave", "SEARCH live USING INDEX conveyor_live_ready (queue=?)"),
        ("jobs/fetch_jobs_active", "SEARCH conveyor_live USING INDEX conveyor_live_limited (queue=?)"),
        (
            "jobs/fetch_jobs_active_group",
            "SEARCH conveyor_live USING INDEX conveyor_live_limited (queue=? AND group_id=?)",
        ),
        ("jobs/fetch_jobs_active_name", "SEARCH conveyor_live USING INDEX conveyor_live_limited (queue=?"),
        ("jobs/fetch_jobs_limited", "SEARCH conveyor_live USING INTEGER PRIMARY KEY (rowid=?)"),
        ("jobs/fetch_jobs_rate", "SEARCH conveyor_rates USING PRIMARY KEY (queue=? AND scope=? AND key=?)"),
        (
            "jobs/fetch_jobs_rate_ended",
            "SEARCH conveyor_starts USING PRIMARY KEY (queue=? AND scope=? AND key=? AND at<?)",
        ),
        ("jobs/save_jobs_group", "SEARCH conveyor_live USING INDEX conveyor_live_grouped (queue=? AND group_id=?)"),
    ],
)
def test_a_statement_of_limits_uses_its_index(connection: sqlite3.Connection, name: str, step: str) -> None:
    steps = plan(connection, name)
    assert any(step in found for found in steps), steps
    walks = [found for found in steps if found.startswith(("SCAN conveyor_live", "SCAN conveyor_queue_groups"))]
    assert not walks, steps
    assert not any("TEMP B-TREE" in found for found in steps), steps


@pytest.mark.parametrize(
    "name",
    [
        "jobs/settle_jobs",
        "jobs/settle_jobs_history",
        "jobs/settle_jobs_results",
        "jobs/settle_jobs_held",
        "jobs/save_jobs_alike_live",
        "buffers/add_alike",
    ],
)
def test_a_statement_for_many_jobs_walks_over_those_alone(connection: sqlite3.Connection, name: str) -> None:
    steps = plan(connection, name)
    walks = [step for step in steps if step.startswith("SCAN")]
    assert len(walks) == 1
    assert "VIRTUAL TABLE" in walks[0]
    assert not any("TEMP B-TREE" in step for step in steps)


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("jobs/promote_delayed_jobs", "conveyor_live_delayed (queue=? AND run_at<?)"),
        (
            "jobs/expire_jobs_due",
            "SEARCH live USING INDEX conveyor_live_expiring (queue=? AND expires_at>? AND expires_at<?)",
        ),
        ("jobs/reclaim_stalled_jobs_expired", "conveyor_live_active (session_id=?)"),
        ("jobs/extend_locks_held", "conveyor_live_active (session_id=?)"),
        ("inspection/get_stats", "INDEX conveyor_history_finished (queue=? AND state=? AND finished_at>?)"),
    ],
)
def test_a_pass_uses_its_index(connection: sqlite3.Connection, name: str, step: str) -> None:
    steps = plan(connection, name)
    assert any(step in found for found in steps), steps
    assert not any(
        found.startswith(("SCAN conveyor_live", "SCAN conveyor_jobs", "SCAN conveyor_history")) for found in steps
    ), steps


@pytest.mark.parametrize(
    ("name", "step"),
    [
        (
            "jobs/remove_outdated_jobs_own",
            "SEARCH history USING COVERING INDEX conveyor_history_outdating (queue=? AND remove_at<?)",
        ),
        (
            "jobs/remove_outdated_jobs_count",
            "SEARCH conveyor_history USING COVERING INDEX conveyor_history_finished (queue=?)",
        ),
        (
            "jobs/remove_outdated_jobs_old",
            "USING COVERING INDEX conveyor_history_finished (queue=? AND state=? AND finished_at<?)",
        ),
    ],
)
def test_outdated_jobs_are_found_by_an_index_in_its_order(connection: sqlite3.Connection, name: str, step: str) -> None:
    steps = plan(connection, name)
    assert any(step in found for found in steps), steps
    assert not any(
        found.startswith(("SCAN conveyor_history", "SCAN conveyor_jobs")) or "TEMP B-TREE" in found for found in steps
    ), steps


def test_error_groups_are_counted_on_their_index_alone(connection: sqlite3.Connection) -> None:
    steps = plan(connection, "inspection/list_error_groups")
    assert any("USING COVERING INDEX conveyor_history_error_groups" in found for found in steps), steps
    assert not any(found.startswith(("SCAN conveyor_jobs", "SCAN last", "SCAN conveyor_history")) for found in steps), (
        steps
    )


@pytest.mark.parametrize(
    ("name", "index"), [("find_batches", "conveyor_batches_newest"), ("find_stranded", "conveyor_batches_worked")]
)
def test_batch_jobs_are_found_by_an_index_in_its_order(connection: sqlite3.Connection, name: str, index: str) -> None:
    steps = plan(connection, f"batches/{name}")
    assert index in steps[0], steps
    assert not any(
        "TEMP B-TREE" in found or "SCAN conveyor_live" in found or "SCAN conveyor_jobs" in found for found in steps
    ), steps


def test_a_search_walks_the_ids_and_sorts_nothing(connection: sqlite3.Connection) -> None:
    steps = plan(connection, "inspection/search_jobs")
    assert steps[0] == "SEARCH jobs USING INDEX sqlite_autoindex_conveyor_jobs_1 (id<?)"
    assert not any("TEMP B-TREE" in found for found in steps)


def test_a_search_from_the_oldest_on_walks_the_ids_and_sorts_nothing(connection: sqlite3.Connection) -> None:
    steps = plan(connection, "inspection/search_jobs_oldest")
    assert steps[0] == "SEARCH jobs USING INDEX sqlite_autoindex_conveyor_jobs_1 (id>?)"
    assert not any("TEMP B-TREE" in found for found in steps)
