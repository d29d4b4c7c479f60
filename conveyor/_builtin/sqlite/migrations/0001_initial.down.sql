-- Undoes 0001_initial: every job is gone.
drop table batch_errors;

drop table batch_parts;

drop table batch_changes;

drop table batches;

drop table buffer_merges;

drop table buffer_takes;

drop table buffered;

drop table run_counts;

drop table schedules;

drop table event_marks;

drop table watchers;

drop table events;

drop table starts;

drop table rates;

drop table queue_groups;

drop table guards;

drop table paused;

drop table queues;

drop table workers;

drop table sessions;

drop table deduplicated_adds;

drop table deduplication_keys;

drop table flow_edges;

drop table flow_parents;

drop table removed;

drop table logs;

drop table attempts;

drop view job_records;

drop table history;

drop table live;

drop table jobs;
