-- What a job is, its state while it lives, and how it ended stand in three tables: the payload is written once
-- and never moved, and fetching never walks over what is done.
-- Times are whole microseconds since 1970 (UTC), by the store's clock.

-- One row for each job there is. seq is the order in which jobs were added, or rerun.
-- added_payload is kept where a rerun replaced the payload, so that the same add again is still recognised.
create table conveyor_jobs (
  seq integer primary key,
  id text not null unique,
  queue text not null,
  name text not null,
  payload blob not null,
  options blob,
  created_at integer not null,
  expires_at integer,
  added_payload blob
);

-- Jobs that are waiting, delayed or active. expires_at is that of the job, here for its index.
-- order_at and order_seq place a waiting job within its priority. For jobs with the option lifo both are
-- mirrored below zero (-1 - value), so one ascending index gives those first, newest first, then the others.
-- is_discarded: the job may not be tried again.
-- is_limited: it was fetched from a queue with limits, so it is counted while it is active.
create table conveyor_live (
  seq integer primary key,
  queue text not null,
  name text not null,
  state text not null,
  priority integer not null,
  order_at integer not null,
  order_seq integer not null,
  attempts_made integer not null default 0,
  stalled_count integer not null default 0,
  run_at integer not null,
  expires_at integer,
  started_at integer,
  session_id text,
  fetch_number integer,
  progress blob,
  error blob,
  is_discarded integer not null default 0,
  group_id text,
  is_limited integer not null default 0
);

create index conveyor_live_ready on conveyor_live (queue, priority, order_at, order_seq)
where state = 'waiting' and stalled_count = 0 and group_id is null;

create index conveyor_live_grouped on conveyor_live (queue, group_id, priority, order_at, order_seq)
where state = 'waiting' and stalled_count = 0 and group_id is not null;

create index conveyor_live_limited on conveyor_live (queue, group_id, name) where state = 'active' and is_limited = 1;

create index conveyor_live_suspects on conveyor_live (queue, priority, order_at, order_seq)
  where state = 'waiting' and stalled_count > 0;

create index conveyor_live_delayed on conveyor_live (queue, run_at) where state = 'delayed';

create index conveyor_live_active on conveyor_live (session_id, fetch_number) where state = 'active';

create index conveyor_live_expiring on conveyor_live (queue, expires_at) where expires_at is not null
  and state <> 'active';

create index conveyor_live_waiting_children on conveyor_live (queue) where state = 'waiting_children';

-- Jobs that are settled.
-- attempt and outcome tell of the run that settled the job; null where no run did.
-- remove_at is when the job goes by its own option; null where that names no duration.
-- error_group is the fingerprint of the error by which a job failed.
create table conveyor_history (
  seq integer primary key,
  queue text not null,
  state text not null,
  priority integer not null,
  attempts_made integer not null,
  stalled_count integer not null,
  run_at integer not null,
  started_at integer,
  finished_at integer not null,
  session_id text,
  fetch_number integer,
  progress blob,
  result blob,
  error blob,
  attempt integer,
  outcome text,
  remove_at integer,
  error_group text
);

create index conveyor_history_error_groups on conveyor_history (error_group, queue, finished_at)
  where error_group is not null;

create index conveyor_history_finished on conveyor_history (queue, state, finished_at);

create index conveyor_history_outdating on conveyor_history (queue, remove_at) where remove_at is not null;

-- Every job as a whole; it is either live or settled.
create view conveyor_job_records as
select
  jobs.id,
  jobs.queue,
  jobs.name,
  jobs.payload,
  jobs.options,
  coalesce(live.state, history.state) as state,
  coalesce(live.priority, history.priority) as priority,
  coalesce(live.attempts_made, history.attempts_made) as attempts_made,
  coalesce(live.stalled_count, history.stalled_count) as stalled_count,
  jobs.created_at,
  coalesce(live.run_at, history.run_at) as run_at,
  coalesce(live.started_at, history.started_at) as started_at,
  history.finished_at,
  coalesce(live.session_id, history.session_id) as session_id,
  coalesce(live.fetch_number, history.fetch_number) as fetch_number,
  coalesce(live.progress, history.progress) as progress,
  history.result,
  coalesce(live.error, history.error) as error,
  jobs.expires_at
from conveyor_jobs as jobs
left join conveyor_live as live on live.seq = jobs.seq
left join conveyor_history as history on history.seq = jobs.seq;

-- Runs that ended, except the one that settled its job: that one stands in history.
create table conveyor_attempts (
  seq integer primary key,
  job_id text not null,
  number integer not null,
  session_id text not null,
  fetch_number integer not null,
  started_at integer not null,
  ended_at integer not null,
  outcome text not null,
  error blob
);

create index conveyor_attempts_job on conveyor_attempts (job_id);

create table conveyor_logs (
  seq integer primary key,
  job_id text not null,
  message text not null,
  at integer not null,
  attempt integer,
  session_id text,
  fetch_number integer
);

create index conveyor_logs_job on conveyor_logs (job_id);

-- Jobs that wait, or waited, for children: how many of these have not ended, and how many ended otherwise than completed
-- and count. policy is what such an end means; is_removed and kept_for what becomes of the record if the job fails by it.
-- delay begins when the last child has ended; null: there is none, or it has begun.
create table conveyor_flow_parents (
  job_id text not null primary key,
  policy text not null,
  open_count integer not null default 0,
  failed_count integer not null default 0,
  delay integer,
  is_removed integer not null,
  kept_for integer,
  digest blob
) without rowid;

-- Who waits for whom. queue, name, outcome, result and error are kept of a child whose record is gone; outcome is null
-- until it has ended.
create table conveyor_flow_edges (
  seq integer primary key,
  parent_id text not null,
  child_id text not null,
  queue text not null,
  name text not null,
  outcome text,
  result blob,
  error blob
);

create unique index conveyor_flow_edges_parent on conveyor_flow_edges (parent_id, child_id);

create index conveyor_flow_edges_child on conveyor_flow_edges (child_id);

create index conveyor_flow_edges_open on conveyor_flow_edges (child_id) where outcome is null;

-- Jobs that left no record as they ended, for a while, with the run that ended them: so that the same settlement again
-- is recognised, and who waited for them learns how they ended.
create table conveyor_removed (
  seq integer primary key,
  job_id text not null,
  session_id text not null,
  fetch_number integer not null,
  outcome text not null,
  state text not null,
  finished_at integer not null,
  result blob,
  error blob
);

create index conveyor_removed_job on conveyor_removed (job_id);

-- Deduplication keys and the jobs that took them last. Whether a job holds its key is told by its state, so nothing is
-- written here as jobs settle. until is when the key is free whatever the state; null where only that counts, and the row
-- goes with its job.
create table conveyor_deduplication_keys (
  seq integer primary key,
  queue text not null,
  name text not null,
  key text not null,
  job_id text not null,
  until integer,
  unique (queue, name, key)
);

create index conveyor_deduplication_keys_job on conveyor_deduplication_keys (job_id) where until is null;

create index conveyor_deduplication_keys_until on conveyor_deduplication_keys (until) where until is not null;

-- Adds that left no job because another had their key, for a while: so that the same add again is answered alike.
-- add_id is the id of the job that was to be added; digest tells its add from others of the same id. They are forgotten
-- in the order in which they were written.
create table conveyor_deduplicated_adds (
  seq integer primary key,
  add_id text not null,
  digest text not null,
  job_id text not null,
  outcome text not null,
  forget_at integer not null
);

create index conveyor_deduplicated_adds_id on conveyor_deduplicated_adds (add_id);

-- highest_fetch and recent_fetches (a bit for it and for each of the numbers below) tell which fetches took place.
create table conveyor_sessions (
  id text not null primary key,
  hostname text not null,
  pid integer not null,
  backend text not null,
  queue_names text not null,
  opened_at integer not null,
  expires_at integer not null,
  concurrency integer not null,
  version text not null,
  lock_duration integer,
  highest_fetch integer not null default 0,
  recent_fetches blob not null default x''
) without rowid;

-- Where the workers ran that were opened last: histories name their sessions, which are gone by then.
create table conveyor_workers (
  seq integer primary key,
  id text not null,
  hostname text not null,
  pid integer not null
);

create unique index conveyor_workers_id on conveyor_workers (id);

-- What was counted of runs that ended, for each minute (span 60, in seconds), each hour (3600) and all that was before
-- (0, with start 0). counts is a JSON object of numbers that add up; conveyor.model.metrics says what they are.
create table conveyor_run_counts (
  span integer not null,
  start integer not null,
  queue text not null,
  name text not null,
  counts text not null,
  primary key (span, start, queue, name)
) without rowid;

-- Every queue that a job was added to or that was paused: it outlives its jobs.
create table conveyor_queues (
  name text not null primary key
) without rowid;

create table conveyor_paused (
  queue text not null,
  name text not null,
  primary key (queue, name)
) without rowid;

-- Jobs that are added again and again. rule and state are JSON; due_at is when a worker has to look, null while the
-- schedule is paused or once it has ended.
create table conveyor_schedules (
  id text not null primary key,
  queue text not null,
  name text not null,
  payload blob not null,
  options blob,
  rule blob not null,
  state blob not null,
  due_at integer
) without rowid;

create index conveyor_schedules_due on conveyor_schedules (due_at) where due_at is not null;

-- What happens, while somebody watches: triggers write it, which are made with the first watcher and dropped with the
-- last. at is the database's time. data is the progress, the result or the error, as kind says. A hundred thousand are
-- kept at most.
create table conveyor_events (
  seq integer primary key autoincrement,
  at integer not null,
  kind text not null,
  queue text not null,
  job_id text not null,
  name text not null,
  data blob,
  count integer not null default 0
);

create trigger conveyor_events_bounded after insert on conveyor_events
begin
  delete from conveyor_events where seq <= new.seq - 100000;
end;

-- Who watches a queue ('': all), and until when unless that is renewed.
create table conveyor_watchers (
  id text not null primary key,
  queue text not null,
  until integer not null
) without rowid;

create index conveyor_watchers_queue on conveyor_watchers (queue);

-- Which event was the last at a time: by that, events are kept for a time.
create table conveyor_event_marks (
  at integer not null primary key,
  seq integer not null
) without rowid;

-- Queues that have limits, or had a job with a group. round_at is where the turns of its groups stand.
create table conveyor_guards (
  queue text not null primary key,
  limits blob,
  round_at integer not null default 0
) without rowid;

-- The groups that take turns in a queue; '' stands for the jobs without one. at is where it stands in the round. The
-- turns of one that is parked are passed over until free_at, or until a run of it ends.
create table conveyor_queue_groups (
  queue text not null,
  group_id text not null,
  at integer not null,
  is_parked integer not null default 0,
  free_at integer,
  primary key (queue, group_id)
) without rowid;

create index conveyor_queue_groups_turns on conveyor_queue_groups (queue, at, group_id) where is_parked = 0;

create index conveyor_queue_groups_freed on conveyor_queue_groups (queue, free_at) where free_at is not null;

-- How much of each rate is used: of a window, what its starts weigh; of a bucket, its level at a time.
-- free_at is when there is room for the job that was last refused.
create table conveyor_rates (
  queue text not null,
  scope text not null,
  key text not null,
  level integer not null,
  at integer not null,
  free_at integer not null,
  primary key (queue, scope, key)
) without rowid;

create index conveyor_rates_free on conveyor_rates (queue, free_at);

-- What started in each window.
create table conveyor_starts (
  queue text not null,
  scope text not null,
  key text not null,
  at integer not null,
  weight integer not null,
  primary key (queue, scope, key, at)
) without rowid;

-- Jobs in buffers, in the order in which they were added; they are none of the jobs yet. run_at and expires_at are what
-- they were added with, null where nothing was asked. digest tells the same add again.
create table conveyor_buffered (
  seq integer primary key,
  id text not null unique,
  buffer text not null,
  queue text not null,
  name text not null,
  payload blob not null,
  options blob,
  run_at integer,
  expires_at integer,
  deduplication blob,
  size integer not null,
  added_at integer not null
);

create index conveyor_buffered_order on conveyor_buffered (buffer, seq, size, added_at);

-- Every buffer that was ever flushed: who has its jobs until when (null: nobody), and who flushed it last.
create table conveyor_buffer_takes (
  buffer text not null primary key,
  token text,
  taken_until integer,
  committed text
) without rowid;

-- Jobs of buffers that went into others, or on with another payload (into_id is their own then), for a while.
create table conveyor_buffer_merges (
  job_id text not null primary key,
  into_id text not null,
  digest blob not null,
  merged_at integer not null
) without rowid;

create index conveyor_buffer_merges_age on conveyor_buffer_merges (merged_at);

-- Batch jobs. digest tells the same creation again; run is the token of the run that may write, job_id the job that works
-- for it. counts is a JSON object of rows by what became of them. An identity is held until its batch job fails or is
-- cancelled.
create table conveyor_batches (
  id text not null primary key,
  batch_type text not null,
  status text not null,
  context blob not null,
  created_at integer not null,
  updated_at integer not null,
  dry_run integer not null,
  confirmation text not null,
  created_by text,
  identity text,
  parent_id text,
  revision integer not null,
  run text,
  run_started_at integer,
  run_started_from integer not null,
  job_id text,
  steps integer not null,
  cursor blob,
  done integer not null,
  total integer,
  counts text not null,
  message text,
  result blob,
  error text,
  retries integer not null,
  digest blob not null,
  parts integer not null default 0,
  parts_done integer not null default 0
);

create unique index conveyor_batches_identity on conveyor_batches (batch_type, identity)
where identity is not null and status not in ('failed', 'cancelled');

create index conveyor_batches_newest on conveyor_batches (created_at desc, id);

create index conveyor_batches_worked on conveyor_batches (created_at, id)
where status in ('created', 'confirmed', 'processing', 'pausing', 'interrupted', 'cancelling');

create index conveyor_batches_takers on conveyor_batches (parent_id) where parent_id is not null;

create index conveyor_batches_ended on conveyor_batches (updated_at, id)
where status in ('cancelled', 'failed', 'completed', 'completed_with_errors');

-- The history of each batch job. change_id tells the same change again; null where it was created.
create table conveyor_batch_changes (
  batch_id text not null,
  number integer not null,
  change_id text,
  at integer not null,
  before text,
  after text not null,
  command text,
  asked_by text,
  reason text,
  primary key (batch_id, number)
) without rowid;

create unique index conveyor_batch_changes_same on conveyor_batch_changes (batch_id, change_id)
  where change_id is not null;

-- The parts of batch jobs that are divided. span and cursor are JSON, counts as in batches; run is the token of the run
-- that may write, job_id the job that works for the part.
create table conveyor_batch_parts (
  batch_id text not null,
  number integer not null,
  span blob not null,
  job_id text not null,
  run text,
  steps integer not null default 0,
  cursor blob,
  done integer not null default 0,
  counts text not null default '{}',
  is_done integer not null default 0,
  error text,
  primary key (batch_id, number)
) without rowid;

-- Rows of batch jobs that could not be processed. error is JSON: what a row holds may be no text for a database.
create table conveyor_batch_errors (
  batch_id text not null,
  row_number integer not null,
  error blob not null,
  primary key (batch_id, row_number)
) without rowid;
