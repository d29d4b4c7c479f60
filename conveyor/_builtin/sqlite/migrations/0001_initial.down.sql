-- Undoes 0001_initial: every job is gone.
drop table conveyor_batch_errors;

drop table conveyor_batch_parts;

drop table conveyor_batch_changes;

drop table conveyor_batches;

drop table conveyor_buffer_merges;

drop table conveyor_buffer_takes;

drop table conveyor_buffered;

drop table conveyor_run_counts;

drop table conveyor_schedules;

drop table conveyor_event_marks;

drop table conveyor_watchers;

drop table conveyor_events;

drop table conveyor_starts;

drop table conveyor_rates;

drop table conveyor_queue_groups;

drop table conveyor_guards;

drop table conveyor_paused;

drop table conveyor_queues;

drop table conveyor_workers;

drop table conveyor_sessions;

drop table conveyor_deduplicated_adds;

drop table conveyor_deduplication_keys;

drop table conveyor_flow_edges;

drop table conveyor_flow_parents;

drop table conveyor_removed;

drop table conveyor_logs;

drop table conveyor_attempts;

drop view conveyor_job_records;

drop table conveyor_history;

drop table conveyor_live;

drop table conveyor_jobs;
