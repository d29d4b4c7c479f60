-- Jobs that live are in one narrow, busy table; those that are settled in another, parted by the day they ended.
-- Times are the database's. Text compares by its bytes, so an index means the same wherever the database was made.
-- Where a function forbids a way to look, servers before 18 expect a cost beyond all bounds of whatever has no other, and
-- would compile it anew for each call, which takes a hundred times as long as to run it: so there is no jit in those.

create sequence conveyor.job_seq;

-- Jobs that are waiting, delayed or active. seq is the order in which jobs were added, or rerun.
-- order_at (whole microseconds since 1970) and order_seq place a waiting job within its priority. For jobs with the
-- option lifo both are mirrored below zero (-1 - value), so one ascending index gives those first, newest first.
-- is_discarded: the job may not be tried again.
-- added_payload is kept where a rerun replaced the payload, so that the same add again is still recognised.
-- group_id is that of the options. is_limited: it was fetched from a queue that has or had limits, so it is counted while
-- it is active.
create table conveyor.live (
  id text collate "C" primary key,
  seq bigint not null,
  queue text collate "C" not null,
  name text collate "C" not null,
  state text collate "C" not null,
  priority integer not null,
  order_at bigint not null,
  order_seq bigint not null,
  attempts_made integer not null default 0,
  stalled_count integer not null default 0,
  fetch_number bigint,
  created_at timestamptz not null,
  run_at timestamptz not null,
  started_at timestamptz,
  expires_at timestamptz,
  session_id text collate "C",
  payload bytea not null,
  options bytea,
  added_payload bytea,
  progress bytea,
  error bytea,
  is_discarded boolean not null default false,
  group_id text collate "C",
  is_limited boolean not null default false
) with (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_insert_scale_factor = 0.2,
  autovacuum_vacuum_cost_delay = 0,
  vacuum_truncate = off
);

create index live_ready on conveyor.live (queue, priority, order_at, order_seq)
where state = 'waiting' and stalled_count = 0 and group_id is null;

create index live_grouped on conveyor.live (queue, group_id, priority, order_at, order_seq)
where state = 'waiting' and stalled_count = 0 and group_id is not null;

-- The state is said so that whoever counts by it, in the same words, is served by this index and by no other.
create index live_limited on conveyor.live (queue, group_id, name) where state in ('active', '') and is_limited;

create index live_suspects on conveyor.live (queue, priority, order_at, order_seq)
where state = 'waiting' and stalled_count > 0;

create index live_delayed on conveyor.live (queue, run_at) where state = 'delayed';

create index live_active on conveyor.live (session_id, fetch_number) where state = 'active';

create index live_waiting_children on conveyor.live (queue, seq) where state = 'waiting_children';

create index live_expiring on conveyor.live (queue, expires_at) where expires_at is not null and state <> 'active';

-- The fingerprint of an error; null: it has none. It is the same whatever the settings, though converting bytes need not be.
create function conveyor.fingerprint_of(error bytea) returns text
language sql
immutable
as $$
  select nullif(convert_from(error, 'UTF8')::json ->> 'fingerprint', '')
$$;

-- Jobs that are settled. attempt and outcome tell of the run that settled the job; null where no run did.
-- kept_until is when the job asked to be removed; null: it has not.
-- error_group is the fingerprint of the error by which a job failed.
create table conveyor.history (
  id text collate "C" not null,
  seq bigint not null,
  queue text collate "C" not null,
  name text collate "C" not null,
  state text collate "C" not null,
  priority integer not null,
  attempts_made integer not null,
  stalled_count integer not null,
  fetch_number bigint,
  created_at timestamptz not null,
  run_at timestamptz not null,
  started_at timestamptz,
  finished_at timestamptz not null,
  expires_at timestamptz,
  kept_until timestamptz,
  session_id text collate "C",
  payload bytea not null,
  options bytea,
  added_payload bytea,
  progress bytea,
  result bytea,
  error bytea,
  attempt integer,
  outcome text collate "C",
  error_group text collate "C" generated always as (
    case when state = 'failed' and error is not null then conveyor.fingerprint_of(error) end
  ) stored
) partition by range (finished_at);

create index history_id on conveyor.history (id);

create index history_finished on conveyor.history (queue, state, finished_at, seq);

create index history_error_groups on conveyor.history (error_group, queue, finished_at, seq)
where error_group is not null;

create index history_kept on conveyor.history (kept_until) where kept_until is not null;

-- Whatever ended on a day that has no partition of its own.
create table conveyor.history_other partition of conveyor.history default;

-- Every job as a whole; it is either live or settled.
create view conveyor.job_records as
select
  live.id, live.queue, live.name, live.payload, live.options, live.state, live.priority, live.attempts_made,
  live.stalled_count, live.created_at, live.run_at, live.started_at, null::timestamptz as finished_at, live.session_id,
  live.fetch_number, live.progress, null::bytea as result, live.error, live.expires_at
from conveyor.live
union all
select
  history.id, history.queue, history.name, history.payload, history.options, history.state, history.priority,
  history.attempts_made, history.stalled_count, history.created_at, history.run_at, history.started_at,
  history.finished_at, history.session_id, history.fetch_number, history.progress, history.result, history.error,
  history.expires_at
from conveyor.history;

-- The jobs of these ids, which were made between two times as far as anybody knows. Most jobs end soon after they are
-- made: that these were settled on other days, too, is looked for only where they are not found.
-- It is stable so that both looks see the same moment. Its plans are made once: for these arguments alone they would be
-- better, but to make them takes longer, with every day that there is, than to look.
create function conveyor.find_jobs(ids text[], since timestamptz, until timestamptz)
returns setof conveyor.job_records
language plpgsql
stable
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $$
declare
  soon timestamptz := least(until, timestamptz '9999-12-30') + interval '1 day';
  found_ids text[] := '{}';
  missing text[];
  job conveyor.job_records;
begin
  for job in
    select *
    from conveyor.job_records as found_job
    where found_job.id = any(find_jobs.ids)
      and (found_job.finished_at is null or (found_job.finished_at >= since and found_job.finished_at <= soon))
  loop
    found_ids := found_ids || job.id;
    return next job;
  end loop;
  if cardinality(found_ids) < cardinality(find_jobs.ids) then
    missing := array(select unnest(find_jobs.ids) except select unnest(found_ids));
    return query
      select *
      from conveyor.job_records as found_job
      where found_job.id = any(missing)
        and (found_job.finished_at < since or found_job.finished_at > soon);
  end if;
end
$$;

-- Those of the jobs that are settled, with the runs that settled them, for who met a job that is not its own any more.
-- As find_jobs does, it looks first where ids of version 7 let expect them: from the day before they were made.
create function conveyor.find_settled(ids text[])
returns table (settled_id text, of_session text, of_fetch bigint, ended_as text)
language plpgsql
stable
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $$
declare
  missing text[] := array(
    select distinct given.id
    from unnest(find_settled.ids) as given(id)
    where not exists (select from conveyor.live where live.id = given.id offset 0)
  );
  since timestamptz;
  settled record;
begin
  if missing = '{}' then
    return;
  end if;
  select
    case
      when bool_and(given.is_dated)
      then to_timestamp(
        min(('x0000' || left(given.id, 8) || substr(given.id, 10, 4))::bit(64)::bigint)
          filter (where given.is_dated) / 1000.0
      ) - interval '1 day'
      else '-infinity'
    end
  into since
  from (
    select one.id, one.id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$' as is_dated
    from unnest(missing) as one(id)
  ) as given;
  for settled in
    select history.id, history.session_id, history.fetch_number, history.outcome
    from conveyor.history
    where history.id = any(missing) and history.finished_at >= since
  loop
    missing := array_remove(missing, settled.id);
    return query select settled.id, settled.session_id, settled.fetch_number, settled.outcome;
  end loop;
  if missing <> '{}' then
    return query
      select history.id, history.session_id, history.fetch_number, history.outcome
      from conveyor.history
      where history.id = any(missing) and history.finished_at < since;
  end if;
end
$$;

-- The jobs that a filter means; an argument that is null, or no tags, leaves all. Texts to look for are in small letters.
-- The planner puts its query in place of the call, so that an order and a limit outside reach the indexes.
create function conveyor.matching_jobs(
  queues text[],
  names text[],
  states text[],
  tags text[],
  created_from timestamptz,
  created_to timestamptz,
  words text,
  finished_from timestamptz,
  finished_to timestamptz,
  error_words text,
  least_attempts bigint,
  wanted_group text
)
returns setof conveyor.job_records
language sql
stable
as $$
  select *
  from conveyor.job_records as job
  where (matching_jobs.queues is null or job.queue = any(matching_jobs.queues))
    and (matching_jobs.names is null or job.name = any(matching_jobs.names))
    and (matching_jobs.states is null or job.state = any(matching_jobs.states))
    and (
      cardinality(matching_jobs.tags) = 0
      or (convert_from(job.options, 'UTF8')::jsonb -> 'tags') @> to_jsonb(matching_jobs.tags)
    )
    and (matching_jobs.created_from is null or job.created_at >= matching_jobs.created_from)
    and (matching_jobs.created_to is null or job.created_at < matching_jobs.created_to)
    and (
      matching_jobs.words is null
      or strpos(lower(job.id), matching_jobs.words) > 0
      or strpos(lower(job.name), matching_jobs.words) > 0
      or strpos(lower(convert_from(job.payload, 'UTF8') collate "C"), matching_jobs.words) > 0
    )
    and (matching_jobs.finished_from is null or job.finished_at >= matching_jobs.finished_from)
    and (matching_jobs.finished_to is null or job.finished_at < matching_jobs.finished_to)
    and (
      matching_jobs.error_words is null
      or strpos(
        lower((convert_from(job.error, 'UTF8')::json ->> 'type') collate "C"), matching_jobs.error_words
      ) > 0
      or strpos(
        lower((convert_from(job.error, 'UTF8')::json ->> 'message') collate "C"), matching_jobs.error_words
      ) > 0
    )
    and job.attempts_made >= matching_jobs.least_attempts
    and (
      matching_jobs.wanted_group is null
      or (job.state = 'failed' and conveyor.fingerprint_of(job.error) = matching_jobs.wanted_group)
    )
$$;

-- Runs that ended, except the one that settled its job: that one stands in history.
create table conveyor.attempts (
  seq bigint generated always as identity primary key,
  job_id text collate "C" not null,
  number integer not null,
  session_id text collate "C" not null,
  fetch_number bigint not null,
  started_at timestamptz not null,
  ended_at timestamptz not null,
  outcome text collate "C" not null,
  error bytea
);

create index attempts_job on conveyor.attempts (job_id, seq);

create table conveyor.logs (
  seq bigint generated always as identity primary key,
  job_id text collate "C" not null,
  message text not null,
  at timestamptz not null,
  attempt integer,
  session_id text collate "C",
  fetch_number bigint
);

create index logs_job on conveyor.logs (job_id, seq);

-- Jobs that wait, or waited, for children: how many of these have not ended, and how many ended otherwise than completed
-- and count. policy is what such an end means; is_removed and kept_for what becomes of the record if the job fails by it.
-- delay begins when the last child has ended; null: there is none, or it has begun.
create table conveyor.flow_parents (
  job_id text collate "C" primary key,
  policy text collate "C" not null,
  open_count integer not null default 0,
  failed_count integer not null default 0,
  delay interval,
  is_removed boolean not null,
  kept_for interval,
  digest bytea
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Who waits for whom. queue, name, outcome, result and error are kept of a child whose record is gone; outcome is null
-- until it has ended.
create table conveyor.flow_edges (
  seq bigint generated always as identity,
  parent_id text collate "C" not null,
  child_id text collate "C" not null,
  queue text collate "C" not null,
  name text collate "C" not null,
  outcome text collate "C",
  result bytea,
  error bytea,
  primary key (parent_id, child_id)
);

create index flow_edges_child on conveyor.flow_edges (child_id);

create index flow_edges_open on conveyor.flow_edges (child_id) where outcome is null;

-- Jobs that left no record as they ended, for a while, with the run that ended them: so that the same settlement again
-- is recognised, and who waited for them learns how they ended.
create table conveyor.removed (
  seq bigint generated always as identity primary key,
  job_id text collate "C" not null,
  session_id text collate "C" not null,
  fetch_number bigint not null,
  outcome text collate "C" not null,
  state text collate "C" not null,
  finished_at timestamptz not null,
  result bytea,
  error bytea
);

create index removed_job on conveyor.removed (job_id);

-- Deduplication keys and the jobs that took them last. Whether a job holds its key is told by its state, so nothing is
-- written here as jobs settle. until is when the key is free whatever the state; null where only that counts, and the row
-- goes with its job.
create table conveyor.deduplication_keys (
  queue text collate "C" not null,
  name text collate "C" not null,
  key text collate "C" not null,
  job_id text collate "C" not null,
  until timestamptz,
  primary key (queue, name, key)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index deduplication_keys_job on conveyor.deduplication_keys (job_id) where until is null;

create index deduplication_keys_until on conveyor.deduplication_keys (until) where until is not null;

-- Adds that left no job because another had their key, for a while: so that the same add again is answered alike.
create table conveyor.deduplicated_adds (
  digest bytea primary key,
  job_id text collate "C" not null,
  outcome text collate "C" not null,
  forget_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index deduplicated_adds_forget on conveyor.deduplicated_adds (forget_at);

-- highest_fetch and missed_fetches (numbers below it, of the last thousand) tell which fetches took place.
create table conveyor.sessions (
  id text collate "C" primary key,
  hostname text not null,
  pid integer not null,
  backend text not null,
  queue_names text[] not null,
  opened_at timestamptz not null,
  expires_at timestamptz not null,
  concurrency integer not null,
  version text not null,
  lock_duration interval,
  highest_fetch bigint not null default 0,
  missed_fetches bigint[] not null default '{}'
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Where the workers ran that were opened last: histories name their sessions, which are gone by then.
create table conveyor.workers (
  seq bigint generated always as identity primary key,
  id text collate "C" not null,
  hostname text not null,
  pid integer not null
);

create unique index workers_id on conveyor.workers (id);

-- What was counted of runs that ended, for each minute (span 60, in seconds), each hour (3600) and all that was before
-- (0, with the start 1970). counts has numbers that add up; conveyor.model.metrics says what they are. Each session
-- counts the minute in rows of its own, so that none waits for another; they become one, with no session, soon after.
create table conveyor.run_counts (
  span integer not null,
  start timestamptz not null,
  queue text collate "C" not null,
  name text collate "C" not null,
  session_id text collate "C" not null,
  counts jsonb not null,
  primary key (span, start, queue, name, session_id)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Every queue that a job was added to or that was paused: it outlives its jobs. Who adds the first job adds a row, and
-- waits for nobody who does the same in a transaction that is open still: so a queue may stand here more than once.
create table conveyor.queues (
  seq bigint generated always as identity primary key,
  name text collate "C" not null
);

create index queues_name on conveyor.queues (name);

-- Each queue once.
create view conveyor.queue_names as
select distinct queues.name
from conveyor.queues;

create table conveyor.paused (
  queue text collate "C" not null,
  name text collate "C" not null,
  primary key (queue, name)
);

-- Queues that have limits (JSON, times in microseconds), or had a job with a group. round_at is where the turns of its
-- groups stand. is_counted: its jobs are counted while they are active; of a queue that has groups alone nobody asks.
-- Whoever fetches from such a queue has its row locked until the end of the transaction.
create table conveyor.guards (
  queue text collate "C" primary key,
  limits jsonb,
  is_counted boolean not null default false,
  round_at bigint not null default 0
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- Queues that had their first job with a group, and have no row of guards yet: whoever adds that job waits for nobody
-- who does the same, as in queues, and the next fetch moves the queue over.
create table conveyor.new_guards (
  seq bigint generated always as identity primary key,
  queue text collate "C" not null
);

create index new_guards_queue on conveyor.new_guards (queue);

-- The groups that take turns in a queue; '' stands for the jobs without one. at is where one stands in the round; null:
-- it has not joined yet. The turns of one that is parked are passed over until free_at (microseconds since 1970), or
-- until it has fewer runs. Who adds to a group locks the key of its row, so that it does not leave meanwhile, or adds
-- a row, for nobody waits for another who adds. Of several rows of a group only one joins: no other while that is there.
-- Only who has the row of guards changes them, so within a fetch their place in the table (ctid) says which is meant: an
-- index less to write to for each turn.
create table conveyor.queue_groups (
  seq bigint generated always as identity,
  queue text collate "C" not null,
  group_id text collate "C" not null,
  at bigint,
  is_parked boolean not null default false,
  free_at bigint,
  primary key (queue, group_id, seq)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create index queue_groups_turns on conveyor.queue_groups (queue, at, group_id) where at is not null and not is_parked;

create index queue_groups_new on conveyor.queue_groups (queue, group_id, seq) where at is null;

create index queue_groups_parked on conveyor.queue_groups (queue, free_at) where is_parked;

-- How much of each rate is used: of a window, what its starts weigh; of a bucket, its level at a time.
-- free_at is when there is room for the job that was last refused.
create table conveyor.rates (
  queue text collate "C" not null,
  scope text collate "C" not null,
  key text collate "C" not null,
  level bigint not null,
  at bigint not null,
  free_at bigint not null,
  primary key (queue, scope, key)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

create index rates_free on conveyor.rates (queue, free_at);

-- What started in each window.
create table conveyor.starts (
  queue text collate "C" not null,
  scope text collate "C" not null,
  key text collate "C" not null,
  at bigint not null,
  weight bigint not null,
  primary key (queue, scope, key, at)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

-- Jobs that are added again and again. rule and state are JSON; due_at is when a worker has to look, null while the
-- schedule is paused or once it has ended.
create table conveyor.schedules (
  id text collate "C" primary key,
  queue text collate "C" not null,
  name text collate "C" not null,
  payload bytea not null,
  options bytea,
  rule bytea not null,
  state bytea not null,
  due_at timestamptz
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

create index schedules_due on conveyor.schedules (due_at, id) where due_at is not null;

-- What happens, while somebody watches. seq is given out before the commit; written_by tells readers what was committed
-- since they read last. data is the progress, the result or the error, as kind says.
create table conveyor.events (
  seq bigint generated always as identity primary key,
  written_by xid8 not null default pg_current_xact_id(),
  at timestamptz not null default clock_timestamp(),
  kind text collate "C" not null,
  queue text collate "C" not null,
  job_id text collate "C" not null default '',
  name text collate "C" not null default '',
  data bytea,
  count bigint not null default 0
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index events_by on conveyor.events (written_by);

-- Who watches a queue ('': all), and until when unless that is renewed. Whoever writes looks here, and holds the lock of
-- that to the end of its transaction.
create table conveyor.watchers (
  id text collate "C" primary key,
  queue text collate "C" not null,
  until timestamptz not null
);

-- What was committed at a time: by that, events are kept for a time.
create table conveyor.event_marks (
  at timestamptz primary key,
  committed pg_snapshot not null
);

-- The highest number of the events that were forgotten, and the last transaction that wrote one of them; one row.
create table conveyor.events_forgotten (
  is_only boolean primary key default true check (is_only),
  seq bigint not null,
  written_by xid8 not null
);

-- Jobs in buffers, in the order in which they were added; they are none of the jobs yet. run_at and expires_at are what
-- they were added with, null where nothing was asked.
create sequence conveyor.buffered_seq;

create table conveyor.buffered (
  id text collate "C" primary key,
  seq bigint not null default nextval('conveyor.buffered_seq'),
  buffer text collate "C" not null,
  queue text collate "C" not null,
  name text collate "C" not null,
  payload bytea not null,
  options bytea,
  run_at timestamptz,
  expires_at timestamptz,
  deduplication bytea,
  size bigint not null,
  added_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index buffered_order on conveyor.buffered (buffer, seq);

-- Every buffer that was ever flushed: who has its jobs until when (null: nobody), and who flushed it last.
create table conveyor.buffer_takes (
  buffer text collate "C" primary key,
  token text collate "C",
  taken_until timestamptz,
  committed text collate "C"
) with (fillfactor = 50);

-- Jobs of buffers that went into others, or on with another payload (into_id is their own then), for a while. digest
-- tells the same add again; see buffer_digest.
create table conveyor.buffer_merges (
  job_id text collate "C" primary key,
  into_id text collate "C" not null,
  digest bytea not null,
  merged_at timestamptz not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

create index buffer_merges_age on conveyor.buffer_merges (merged_at);

-- Batch jobs. digest tells the same creation again; run is the token of the run that may write, job_id the job that works
-- for it. counts and history are JSON: what became of rows, and each change of status with the id by which the same
-- change is known again. error and message are UTF-8; what happened may be told in words that are no text here.
-- A step changes no column of an index, so it leaves them as they are; thence ended_at.
create table conveyor.batches (
  id text collate "C" primary key,
  batch_type text collate "C" not null,
  status text collate "C" not null,
  dry_run boolean not null,
  confirmation text collate "C" not null,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  ended_at timestamptz,
  created_by text collate "C",
  identity text collate "C",
  parent_id text collate "C",
  job_id text collate "C" not null,
  run text collate "C",
  run_started_at timestamptz,
  run_started_from bigint not null default 0,
  revision bigint not null default 1,
  steps bigint not null default 0,
  done bigint not null default 0,
  total bigint,
  parts integer not null default 0,
  parts_done integer not null default 0,
  retries integer not null default 0,
  counts text collate "C" not null default '{}',
  cursor bytea,
  message bytea,
  error bytea,
  context bytea not null,
  result bytea,
  history bytea not null,
  digest bytea not null
) with (fillfactor = 50);

create unique index batches_identity on conveyor.batches (batch_type, identity)
where identity is not null and status not in ('failed', 'cancelled');

create index batches_newest on conveyor.batches (created_at desc, id);

create index batches_worked on conveyor.batches (created_at, id)
where status in ('created', 'confirmed', 'processing', 'pausing', 'interrupted', 'cancelling');

create index batches_ended on conveyor.batches (ended_at, id) where ended_at is not null;

create index batches_takers on conveyor.batches (parent_id) where parent_id is not null and ended_at is null;

-- The parts of batch jobs that are divided. span and cursor are JSON, counts and error as in batches; run is the token of
-- the run that may write, job_id the job that works for the part.
create table conveyor.batch_parts (
  batch_id text collate "C" not null,
  number bigint not null,
  done bigint not null default 0,
  steps bigint not null default 0,
  is_done boolean not null default false,
  job_id text collate "C" not null,
  run text collate "C",
  counts text collate "C" not null default '{}',
  span bytea not null,
  cursor bytea,
  error bytea,
  primary key (batch_id, number)
) with (fillfactor = 50);

-- Rows of batch jobs that could not be processed. error is JSON: a row may hold what is no text here.
create table conveyor.batch_errors (
  batch_id text collate "C" not null,
  row_number bigint not null,
  error bytea not null,
  primary key (batch_id, row_number)
);

-- Keeps how far a run is, with the rows that failed, and without those that did before and have no error now, unless the
-- run was lost or the step was saved before. Tells where the batch job stands (null: there is none), whether it is the run's to write, and whether the step is new.
create function conveyor.save_step(
  batch_id text,
  of_run text,
  step bigint,
  at_cursor bytea,
  rows_done bigint,
  rows_total bigint,
  rows_counts text,
  at_message bytea,
  new_result bytea,
  row_numbers bigint[],
  row_errors bytea[],
  moment timestamptz default null,
  out stands text,
  out is_own boolean,
  out is_new boolean
)
language plpgsql
set enable_seqscan = off
set plan_cache_mode = force_generic_plan
set jit = off
as $$
begin
  update conveyor.batches
  set updated_at = coalesce(moment, clock_timestamp()),
      revision = batches.revision + 1,
      steps = save_step.step,
      cursor = save_step.at_cursor,
      done = save_step.rows_done,
      total = coalesce(save_step.rows_total, batches.total),
      counts = save_step.rows_counts,
      message = save_step.at_message,
      result = coalesce(save_step.new_result, batches.result),
      retries = case
        when save_step.rows_done > batches.done or save_step.at_cursor is distinct from batches.cursor then 0
        else batches.retries
      end
  where batches.id = save_step.batch_id
    and batches.run = save_step.of_run
    and batches.status in ('processing', 'pausing', 'cancelling')
    and batches.steps < save_step.step
  returning batches.status, true
  into stands, is_own;
  is_new := found;
  if not is_new then
    select batches.status,
           batches.run is not distinct from save_step.of_run
             and batches.status in ('processing', 'pausing', 'cancelling')
    into stands, is_own
    from conveyor.batches
    where batches.id = save_step.batch_id;
    return;
  end if;
  if cardinality(row_numbers) > 0 then
    delete from conveyor.batch_errors
    using unnest(save_step.row_numbers, save_step.row_errors) as mended(row_number, error)
    where batch_errors.batch_id = save_step.batch_id
      and batch_errors.row_number = mended.row_number
      and mended.error is null;
    insert into conveyor.batch_errors (batch_id, row_number, error)
    select save_step.batch_id, bad.row_number, bad.error
    from unnest(save_step.row_numbers, save_step.row_errors) as bad(row_number, error)
    where bad.error is not null
    on conflict on constraint batch_errors_pkey do update
    set error = excluded.error;
  end if;
end
$$;

-- The partition of a day, unless it is there. Nobody waits for it for long, and a day that already has jobs elsewhere
-- stays where they are.
create function conveyor.make_partition(day date) returns void
language plpgsql
set lock_timeout = '100ms'
as $$
begin
  if to_regclass(format('conveyor.history_%s', to_char(day, 'YYYYMMDD'))) is not null then
    return;
  end if;
  execute format(
    'create table conveyor.history_%s partition of conveyor.history for values from (%L) to (%L)',
    to_char(day, 'YYYYMMDD'),
    day::timestamp at time zone 'UTC',
    (day + 1)::timestamp at time zone 'UTC'
  );
exception
  when duplicate_table or check_violation or lock_not_available or insufficient_privilege then
    return;
end
$$;

-- The partitions of today and of the next days.
create function conveyor.make_partitions(now_at timestamptz) returns void
language plpgsql as $$
begin
  for ahead in 0 .. 2 loop
    perform conveyor.make_partition((now_at at time zone 'UTC')::date + ahead);
  end loop;
end
$$;

-- Drops the first partition whose jobs all ended max_age ago or longer, with what else is known of them, where all are of
-- these queues; returns how many jobs there were. Whoever uses the table goes first: what is not to be had at once is
-- left for another time.
create function conveyor.drop_partition(queue_names text[], max_age interval, now_at timestamptz) returns bigint
language plpgsql
set lock_timeout = '100ms'
as $$
declare
  old text;
  is_needed boolean;
  removed bigint;
begin
  for old in
    select child.relname
    from pg_inherits
    join pg_class as child on child.oid = pg_inherits.inhrelid
    where pg_inherits.inhparent = 'conveyor.history'::regclass
      and child.relname ~ '^history_[0-9]{8}$'
      and (to_date(right(child.relname, 8), 'YYYYMMDD') + 1)::timestamp at time zone 'UTC' <= now_at - max_age
    order by child.relname
  loop
    execute format('lock table conveyor.%I in share row exclusive mode', old);
    execute format(
      'select exists (
        select
        from conveyor.queue_names as other
        where other.name <> all($1)
          and exists (select from conveyor.%I as kept where kept.queue = other.name offset 0)
      )',
      old
    ) into is_needed using queue_names;
    continue when is_needed;
    execute format('select count(*) from conveyor.%I', old) into removed;
    execute format('delete from conveyor.attempts where job_id in (select id from conveyor.%I)', old);
    execute format('delete from conveyor.logs where job_id in (select id from conveyor.%I)', old);
    execute format('delete from conveyor.flow_edges where parent_id in (select id from conveyor.%I)', old);
    execute format('delete from conveyor.flow_parents where job_id in (select id from conveyor.%I)', old);
    execute format(
      'delete from conveyor.deduplication_keys where ctid = any(array(
        select taken.ctid
        from conveyor.deduplication_keys as taken
        where taken.until is null
          and taken.job_id in (select id from conveyor.%I)
        for update skip locked
      ))',
      old
    );
    execute format('drop table conveyor.%I', old);
    -- The next is for the next call: until this one's transaction ends, nobody else uses history.
    return removed;
  end loop;
  return 0;
exception
  when lock_not_available or insufficient_privilege or undefined_table or query_canceled then
    return 0;
end
$$;

-- A time as a datetime of the callers can say it.
create function conveyor.sayable(moment timestamptz) returns timestamptz
language sql immutable parallel safe
return case
  when moment > timestamptz '9999-12-31 23:59:59.999999+00' then timestamptz '9999-12-31 23:59:59.999999+00'
  else moment
end;

-- A time as whole microseconds since 1970. It is stable because extract is: one that claims more is called for each row,
-- where the planner puts this one's expression in place of the call.
create function conveyor.micros(moment timestamptz) returns bigint
language sql stable parallel safe
return (extract(epoch from moment) * 1000000)::bigint;

-- The group that a job's options name. Jobs without one are told by their bytes, and cost no more than that.
create function conveyor.group_of(options bytea) returns text
language sql stable parallel safe
return case when position('"group"'::bytea in options) > 0 then convert_from(options, 'UTF8')::jsonb #>> '{group,id}' end;

-- Makes the queues of new jobs with groups known as such, and lets those groups take their turns of which a job waits:
-- what name_group and join_round do for one that is changed, here for many at once. A job is given by its place in the
-- arrays.
create function conveyor.admit_groups(queues text[], groups text[], are_waiting boolean[]) returns void
language plpgsql
-- Whatever the statistics say, each queue and each group is looked up in an index.
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  new_queues text[] := array(
    select asked.queue
    from (select distinct given.queue from unnest(admit_groups.queues) as given(queue)) as asked
    where not exists (select from conveyor.guards where guards.queue = asked.queue)
      and not exists (select from conveyor.new_guards as noted where noted.queue = asked.queue)
  );
begin
  if new_queues <> '{}' then
    insert into conveyor.new_guards (queue) select unnest(new_queues);
    perform pg_notify('conveyor.hints', format('- [["changed", %s, ""]]', to_json(queue))) from unnest(new_queues) as queue;
  end if;

  with asked as materialized (
    select distinct given.queue, given.group_id
    from unnest(admit_groups.queues, admit_groups.groups, are_waiting) as given(queue, group_id, is_waiting)
    where given.is_waiting
  ),
  present as (
    select asked.queue, asked.group_id
    from asked
    cross join lateral (
      select
      from conveyor.queue_groups as known
      where known.queue = asked.queue
        and known.group_id = asked.group_id
      for key share
    ) as locked
    -- A stricter transaction could not lock a row that was changed since it began.
    where current_setting('transaction_isolation') = 'read committed'
  )
  insert into conveyor.queue_groups (queue, group_id)
  select asked.queue, asked.group_id from asked
  except
  select present.queue, present.group_id from present;
end
$$;

-- Adds jobs, each given by its place in the arrays; those at the end may be shorter where nobody uses them.
-- Ids are unique over live and settled jobs. The ids of settled jobs are looked for among those that ended after
-- `since`: no job ends before its id was made.
-- With `notifies` those who wait are woken when the caller commits.
-- woken, delayed: queues that got jobs to run, and jobs for later. Where not every id was new, duplicates has the
-- places of those that another job has; a job that is there already, just as given, counts as added.
create function conveyor.add_jobs(
  ids text[],
  queues text[],
  names text[],
  payloads bytea[],
  options bytea[],
  priorities integer[] default null,
  lifos boolean[] default null,
  delays interval[] default null,
  run_ats timestamptz[] default null,
  expire_ins interval[] default null,
  expire_ats timestamptz[] default null,
  since timestamptz default '-infinity',
  moment timestamptz default null,
  notifies boolean default false,
  out woken text[],
  out delayed text[],
  out duplicates bigint[],
  out are_new boolean
)
language plpgsql
-- Whatever the statistics say, each id is looked up in an index.
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  now_at timestamptz := coalesce(moment, clock_timestamp());
  is_watched boolean := exists (select from conveyor.watchers);
  new_ids text[];
  grouped_queues text[];
  groups text[];
  are_waiting boolean[];
  saved bigint;
  settled bigint;
begin
  insert into conveyor.queues (name)
  select asked.queue
  -- Each is looked up once.
  from (select distinct given.queue from unnest(add_jobs.queues) as given(queue)) as asked
  where not exists (select from conveyor.queues as known where known.name = asked.queue)
  order by 1;

  with given as (
    select
      nextval('conveyor.job_seq') as seq,
      asked.*,
      conveyor.sayable(greatest(now_at, coalesce(now_at + asked.delay, asked.run_at, now_at))) as due_at
    from unnest(
      add_jobs.ids, add_jobs.queues, add_jobs.names, add_jobs.payloads, add_jobs.options, add_jobs.priorities,
      add_jobs.lifos, add_jobs.delays, add_jobs.run_ats, add_jobs.expire_ins, add_jobs.expire_ats
    ) with ordinality
      as asked(id, queue, name, payload, options, priority, lifo, delay, run_at, expire_in, expire_at, place)
  ),
  added as (
    insert into conveyor.live as saved_job (
      id, seq, queue, name, state, priority, order_at, order_seq, created_at, run_at, expires_at, payload, options,
      group_id
    )
    select
      given.id,
      given.seq,
      given.queue,
      given.name,
      case when given.due_at > now_at then 'delayed' else 'waiting' end,
      coalesce(given.priority, 0),
      case when given.lifo then -1 - conveyor.micros(given.due_at) else conveyor.micros(given.due_at) end,
      case when given.lifo then -1 - given.seq else given.seq end,
      now_at,
      given.due_at,
      conveyor.sayable(coalesce(now_at + given.expire_in, given.expire_at)),
      given.payload,
      given.options,
      conveyor.group_of(given.options)
    from given
    -- In one order, so that two callers with the same ids do not wait for each other in a circle.
    order by given.id, given.place
    on conflict (id) do nothing
    returning saved_job.id, saved_job.queue, saved_job.state, saved_job.group_id
  )
  select
    count(*),
    array_agg(added.id) filter (where is_watched),
    array_agg(distinct added.queue) filter (where added.state = 'waiting'),
    array_agg(distinct added.queue) filter (where added.state = 'delayed'),
    array_agg(added.queue) filter (where added.group_id is not null),
    array_agg(added.group_id) filter (where added.group_id is not null),
    array_agg(added.state = 'waiting') filter (where added.group_id is not null)
  into saved, new_ids, woken, delayed, grouped_queues, groups, are_waiting
  from added;
  if groups is not null then
    perform conveyor.admit_groups(grouped_queues, groups, are_waiting);
  end if;

  -- A statement of its own sees what was settled while the one above waited for an id.
  with old as (
    select history.id
    from conveyor.history
    where history.id = any(add_jobs.ids)
      and history.finished_at >= since
  ),
  undone as (
    delete from conveyor.live
    where live.id = any(array(select old.id from old))
    returning 1
  )
  select count(*) into settled from undone;

  if new_ids is not null then
    insert into conveyor.events (kind, queue, job_id, name)
    select 'added', live.queue, live.id, live.name
    from conveyor.live
    where live.id = any(new_ids)
      and exists (select from conveyor.watchers where watchers.queue in ('', live.queue) offset 0)
    order by live.seq;
  end if;

  are_new := saved = cardinality(add_jobs.ids) and settled = 0;
  if not are_new then
    -- With an offset, each is looked up by itself; without, the server may choose to read all of a table for it.
    select array_agg(asked.place)
    into duplicates
    from unnest(add_jobs.ids, add_jobs.queues, add_jobs.names, add_jobs.payloads) with ordinality
      as asked(id, queue, name, payload, place)
    where not exists (
      select
      from conveyor.live
      where live.id = asked.id
        and live.queue = asked.queue
        and live.name = asked.name
        and coalesce(live.added_payload, live.payload) = asked.payload
      offset 0
    )
    and not exists (
      select
      from conveyor.history
      where history.id = asked.id
        and history.queue = asked.queue
        and history.name = asked.name
        and coalesce(history.added_payload, history.payload) = asked.payload
      offset 0
    );
  end if;

  if notifies then
    perform pg_notify('conveyor.hints', format('- [["added", %s, ""]]', to_json(queue))) from unnest(woken) as queue;
    perform pg_notify('conveyor.hints', format('- [["delayed", %s, ""]]', to_json(queue))) from unnest(delayed) as queue;
  end if;
end
$$;

-- By what the add of a job to a buffer is known again that left no job.
create function conveyor.buffer_digest(job_id text, queue text, name text, payload bytea)
returns bytea
language sql
immutable
as $$
  -- None of the three holds a control character.
  select substring(
    sha256(convert_to(concat_ws(chr(1), job_id, queue, name, ''), 'UTF8') || payload) from 1 for 16
  )
$$;

-- Puts jobs into a buffer, each given by its place in the arrays; those at the end may be shorter where nobody uses them.
-- Returns the places of those whose id another add has. The ids of settled jobs are looked for among those that ended
-- after `since`.
create function conveyor.add_to_buffer(
  buffer_id text,
  ids text[],
  queues text[],
  names text[],
  payloads bytea[],
  options bytea[] default null,
  delays interval[] default null,
  run_ats timestamptz[] default null,
  expire_ins interval[] default null,
  expire_ats timestamptz[] default null,
  deduplications bytea[] default null,
  since timestamptz default '-infinity',
  moment timestamptz default null,
  out duplicates bigint[]
)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  now_at timestamptz := coalesce(moment, clock_timestamp());
  saved text[];
  gone bigint;
begin
  with given as (
    select nextval('conveyor.buffered_seq') as seq, asked.*
    from unnest(
      add_to_buffer.ids, add_to_buffer.queues, add_to_buffer.names, add_to_buffer.payloads, add_to_buffer.options,
      add_to_buffer.delays, add_to_buffer.run_ats, add_to_buffer.expire_ins, add_to_buffer.expire_ats,
      add_to_buffer.deduplications
    ) with ordinality
      as asked(id, queue, name, payload, options, delay, run_at, expire_in, expire_at, deduplication, place)
  ),
  added as (
    insert into conveyor.buffered (
      id, seq, buffer, queue, name, payload, options, run_at, expires_at, deduplication, size, added_at
    )
    select
      given.id,
      given.seq,
      buffer_id,
      given.queue,
      given.name,
      given.payload,
      given.options,
      conveyor.sayable(coalesce(now_at + given.delay, given.run_at)),
      conveyor.sayable(coalesce(now_at + given.expire_in, given.expire_at)),
      given.deduplication,
      length(given.payload),
      now_at
    from given
    -- In one order, so that two callers with the same ids do not wait for each other in a circle.
    order by given.id, given.place
    on conflict (id) do nothing
    returning id
  )
  select array_agg(added.id) into saved from added;

  -- A statement of its own sees what was flushed while the one above waited for an id. Materialized, since the jobs are
  -- to be looked up by all ids, and not by those of `saved` and then all others.
  with known as materialized (
    select merged.job_id as id from conveyor.buffer_merges as merged where merged.job_id = any(add_to_buffer.ids)
    union all
    select live.id from conveyor.live where live.id = any(add_to_buffer.ids)
    union all
    select history.id
    from conveyor.history
    where history.id = any(add_to_buffer.ids)
      and history.finished_at >= since
  ),
  undone as (
    -- Of these alone: what was there before stays, also where a job of its id was added past the buffer.
    delete from conveyor.buffered
    where buffered.id = any(array(select known.id from known where known.id = any(saved)))
    returning 1
  )
  select count(*) into gone from undone;

  if coalesce(cardinality(saved), 0) < cardinality(add_to_buffer.ids) or gone > 0 then
    -- With an offset, each is looked up by itself. Where a flush gave a job other arguments, its trace knows the add.
    select array_agg(asked.place)
    into duplicates
    from unnest(add_to_buffer.ids, add_to_buffer.queues, add_to_buffer.names, add_to_buffer.payloads) with ordinality
      as asked(id, queue, name, payload, place)
    where not exists (
      select
      from conveyor.buffered
      where buffered.id = asked.id
        and buffered.queue = asked.queue
        and buffered.name = asked.name
        and buffered.payload = asked.payload
      offset 0
    )
    and not exists (
      select
      from conveyor.buffer_merges as merged
      where merged.job_id = asked.id
        and merged.digest = conveyor.buffer_digest(asked.id, asked.queue, asked.name, asked.payload)
      offset 0
    )
    and not exists (
      select
      from conveyor.live
      where live.id = asked.id
        and live.queue = asked.queue
        and live.name = asked.name
        and coalesce(live.added_payload, live.payload) = asked.payload
      offset 0
    )
    and not exists (
      select
      from conveyor.history
      where history.id = asked.id
        and history.queue = asked.queue
        and history.name = asked.name
        and coalesce(history.added_payload, history.payload) = asked.payload
      offset 0
    );
  end if;
end
$$;

-- Takes jobs out of a buffer, in the order of their ids, and keeps into which others they went: null for those that went
-- on as they were.
create function conveyor.leave_buffer(ids text[], into_ids text[], now_at timestamptz)
returns void
language sql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
  with gone as (
    delete from conveyor.buffered
    using unnest(ids, into_ids) as pairs(job_id, into_id)
    where buffered.id = pairs.job_id
    returning buffered.id, pairs.into_id, buffered.queue, buffered.name, buffered.payload
  )
  insert into conveyor.buffer_merges (job_id, into_id, digest, merged_at)
  select id, into_id, conveyor.buffer_digest(id, queue, name, payload), now_at
  from gone
  where into_id is not null
$$;

-- Takes keys that nobody took before for new jobs, and answers those whose keys are held by jobs that they leave as they
-- are; no id may be given twice. is_added tells for each place whether the job is to be added now: it has no key, or took
-- it. met has the places that are answered, with the ids and the answers. The rest is to be done one by one, for each may
-- depend on the one before: its id is there, or its key is free again, or one of these jobs takes it or changes its holder.
-- Nothing is locked for an answer: as this statement began, the job that is named held the key.
create function conveyor.take_or_meet_keys(
  ids text[],
  queues text[],
  names text[],
  keys text[],
  ttls interval[],
  modes text[],
  held_ins text[],
  digests bytea[],
  since timestamptz,
  now_at timestamptz,
  out is_added boolean[],
  out met bigint[],
  out met_ids text[],
  out met_outcomes text[]
)
language plpgsql
set enable_seqscan = off
-- What are not looked up in an index are the rows given here: those are joined by hashing, however few are expected.
set enable_nestloop = off
set enable_mergejoin = off
set jit = off
as $$
declare
  known_ids text[] := array(
    select live.id
    from conveyor.live
    where live.id = any(take_or_meet_keys.ids)
    union all
    select history.id
    from conveyor.history
    where history.id = any(take_or_meet_keys.ids)
      and history.finished_at >= since
  );
  new_answers bytea[];
begin
  with looked as materialized (
    select
      given.*, taken.job_id as holder, answered.job_id as answered_id, answered.outcome,
      (given.id in (select unnest(known_ids))) as is_known,
      (
        given.mode in ('keep', 'reject', 'throttle')
        and (taken.until is null or taken.until > now_at)
        and (
          strpos(given.held_in, ',' || holding.state || ',') > 0
          or given.mode = 'throttle' and taken.until is not null
        )
      ) is true as is_held
    from unnest(
      take_or_meet_keys.ids, take_or_meet_keys.queues, take_or_meet_keys.names, take_or_meet_keys.keys, ttls, modes,
      held_ins, digests
    ) with ordinality as given(id, queue, name, key, ttl, mode, held_in, digest, place)
    -- With an offset, each is looked up by itself.
    left join lateral (
      select known.job_id, known.until
      from conveyor.deduplication_keys as known
      where known.queue = given.queue and known.name = given.name and known.key = given.key
      offset 0
    ) as taken on true
    left join lateral (
      select live.state from conveyor.live where live.id = taken.job_id offset 0
    ) as holding on true
    -- The time is compared outside: a server that expects nothing later than its last look would look by that alone.
    left join lateral (
      select adds.job_id, adds.outcome, adds.forget_at
      from conveyor.deduplicated_adds as adds
      where adds.digest = given.digest
      offset 0
    ) as answered on answered.forget_at > now_at
  ),
  took as (
    insert into conveyor.deduplication_keys as mine (queue, name, key, job_id, until)
    select looked.queue, looked.name, looked.key, looked.id, conveyor.sayable(now_at + looked.ttl)
    from looked
    where looked.key is not null
      and looked.holder is null
      and looked.answered_id is null
      and not looked.is_known
    -- In one order, so that two callers with the same keys do not wait for each other in a circle.
    order by looked.key collate "C", looked.queue collate "C", looked.name collate "C", looked.place
    on conflict (queue, name, key) do nothing
    returning mine.job_id
  ),
  unsettled as (
    select distinct looked.queue, looked.name, looked.key
    from looked
    where looked.holder is not null
      and looked.answered_id is null
      and not looked.is_held
      and not looked.is_known
  ),
  judged as (
    select
      looked.*, took.job_id is not null or looked.key is null as is_added,
      not looked.is_known and (looked.answered_id is not null or looked.is_held and unsettled.key is null) as is_met
    from looked
    left join took
      on took.job_id = looked.id
    left join unsettled
      on unsettled.queue = looked.queue
      and unsettled.name = looked.name
      and unsettled.key = looked.key
  )
  select
    array_agg(judged.is_added order by judged.place),
    array_agg(judged.place) filter (where judged.is_met),
    array_agg(coalesce(judged.answered_id, judged.holder)) filter (where judged.is_met),
    array_agg(
      coalesce(
        judged.outcome, case judged.mode when 'keep' then 'kept' when 'throttle' then 'throttled' else 'rejected' end
      )
    ) filter (where judged.is_met),
    array_agg(case when judged.answered_id is null then judged.digest end) filter (where judged.is_met)
  into is_added, met, met_ids, met_outcomes, new_answers
  from judged;

  -- After the keys: whoever adds the same jobs at the same time waits for keys first, too.
  if met is not null then
    insert into conveyor.deduplicated_adds as adds (digest, job_id, outcome, forget_at)
    select given.digest, given.job_id, given.outcome, now_at + interval '1 minute'
    from unnest(new_answers, met_ids, met_outcomes) as given(digest, job_id, outcome)
    where given.digest is not null
    order by given.digest
    -- One that was remembered too long ago may still be there.
    on conflict (digest) do update
    set job_id = excluded.job_id, outcome = excluded.outcome, forget_at = excluded.forget_at;
  end if;
end
$$;

-- Gives those of the places in rest their keys that nobody holds any more, and returns the others. Their rows are locked, so
-- that what is seen here stays: only of a key that is given once, by whoever has an id of its own, is nothing to be decided
-- in the order of the jobs.
create function conveyor.take_free_keys(
  ids text[],
  queues text[],
  names text[],
  keys text[],
  ttls interval[],
  modes text[],
  held_ins text[],
  digests bytea[],
  since timestamptz,
  now_at timestamptz,
  inout rest bigint[]
)
language plpgsql
set enable_seqscan = off
-- What are not looked up in an index are the rows given here: those are joined by hashing, however few are expected.
set enable_nestloop = off
set enable_mergejoin = off
set jit = off
as $$
declare
  known_ids text[] := array(
    select live.id
    from conveyor.live
    where live.id = any(take_free_keys.ids)
    union all
    select history.id
    from conveyor.history
    where history.id = any(take_free_keys.ids)
      and history.finished_at >= since
  );
  free tid[];
  free_places bigint[];
begin
  select array_agg(looked.row_at), array_agg(looked.place)
  into free, free_places
  from (
    select
      taken.row_at, given.place,
      (given.id in (select unnest(known_ids))) as is_known,
      (taken.job_id in (select unnest(take_free_keys.ids))) as is_one_of_these,
      answered.forget_at is not null as is_answered,
      (
        taken.until <= now_at
        or strpos(given.held_in, ',' || coalesce(holding.state, held.state) || ',') > 0 is not true
        and (given.mode <> 'throttle' or taken.until is null)
      ) is true as is_free
    from (
      select asked.*, count(*) over (partition by asked.queue, asked.name, asked.key) as times
      from unnest(
        take_free_keys.ids, take_free_keys.queues, take_free_keys.names, take_free_keys.keys, modes, held_ins, digests
      ) with ordinality as asked(id, queue, name, key, mode, held_in, digest, place)
    ) as given
    -- With an offset, each is looked up by itself.
    cross join lateral (
      select known.ctid as row_at, known.job_id, known.until
      from conveyor.deduplication_keys as known
      where known.queue = given.queue and known.name = given.name and known.key = given.key
      offset 0
    ) as taken
    left join lateral (
      select live.state from conveyor.live where live.id = taken.job_id offset 0
    ) as holding on true
    left join lateral (
      select history.state
      from conveyor.history
      where history.id = taken.job_id
        and given.held_in ~ 'completed|failed|cancelled'
      offset 0
    ) as held on true
    -- The time is compared outside: a server that expects nothing later than its last look would look by that alone.
    left join lateral (
      select adds.forget_at
      from conveyor.deduplicated_adds as adds
      where adds.digest = given.digest
      offset 0
    ) as answered on answered.forget_at > now_at
    where given.times = 1
      and given.place in (select unnest(take_free_keys.rest))
  ) as looked
  where looked.is_free
    and not looked.is_known
    and not looked.is_one_of_these
    and not looked.is_answered;
  if free is null then
    return;
  end if;

  -- Not joined with what is given: for a table that is known to be empty the planner would read all of it, for ever.
  update conveyor.deduplication_keys as known
  set job_id = take_free_keys.ids[free_places[array_position(free, known.ctid)]],
      until = conveyor.sayable(now_at + ttls[free_places[array_position(free, known.ctid)]])
  where known.ctid = any(free);
  rest := array(select unnest(rest) except select unnest(free_places) order by 1);
end
$$;

-- Adds those jobs of the places from first_place to last_place that are to be added; see add_jobs. duplicates has their
-- places in the arrays as they are given here.
create function conveyor.add_some_jobs(
  ids text[],
  queues text[],
  names text[],
  payloads bytea[],
  options bytea[],
  priorities integer[],
  lifos boolean[],
  delays interval[],
  run_ats timestamptz[],
  expire_ins interval[],
  expire_ats timestamptz[],
  since timestamptz,
  moment timestamptz,
  notifies boolean,
  is_added boolean[],
  first_place bigint,
  last_place bigint,
  out woken text[],
  out delayed text[],
  out duplicates bigint[]
)
language plpgsql as $$
declare
  places bigint[];
  mine record;
begin
  if first_place = 1 and last_place = cardinality(add_some_jobs.ids) and not false = any(is_added) then
    select added.woken, added.delayed, added.duplicates
    into woken, delayed, duplicates
    from conveyor.add_jobs(
      ids, queues, names, payloads, options, priorities, lifos, delays, run_ats, expire_ins, expire_ats, since, moment,
      notifies
    ) as added;
    return;
  end if;

  select
    array_agg(asked.place) as places, array_agg(asked.id) as ids, array_agg(asked.queue) as queues,
    array_agg(asked.name) as names, array_agg(asked.payload) as payloads, array_agg(asked.options) as options,
    array_agg(asked.priority) as priorities, array_agg(asked.lifo) as lifos, array_agg(asked.delay) as delays,
    array_agg(asked.run_at) as run_ats, array_agg(asked.expire_in) as expire_ins,
    array_agg(asked.expire_at) as expire_ats
  into mine
  from unnest(
    add_some_jobs.ids, add_some_jobs.queues, add_some_jobs.names, add_some_jobs.payloads, add_some_jobs.options,
    add_some_jobs.priorities, add_some_jobs.lifos, add_some_jobs.delays, add_some_jobs.run_ats,
    add_some_jobs.expire_ins, add_some_jobs.expire_ats, add_some_jobs.is_added
  ) with ordinality
    as asked(id, queue, name, payload, options, priority, lifo, delay, run_at, expire_in, expire_at, is_added, place)
  where asked.is_added
    and asked.place between first_place and last_place;

  if mine.places is not null then
    select added.woken, added.delayed, added.duplicates
    into woken, delayed, duplicates
    from conveyor.add_jobs(
      mine.ids, mine.queues, mine.names, mine.payloads, mine.options, mine.priorities, mine.lifos, mine.delays,
      mine.run_ats, mine.expire_ins, mine.expire_ats, since, moment, notifies
    ) as added;
    duplicates := array(select mine.places[place] from unnest(duplicates) as place);
  end if;
end
$$;

-- Does what the mode says where another job holds the key of a new one, and returns its id and the answer; without one, the
-- new job took the key, and is to be added. new_state is that of a job that was changed.
-- held_in: the states in which whoever asks takes a key for held, with commas.
create function conveyor.meet_key(
  new_id text,
  new_queue text,
  new_name text,
  new_payload bytea,
  new_options bytea,
  new_priority integer,
  is_lifo boolean,
  due_at timestamptz,
  new_expires_at timestamptz,
  new_key text,
  new_until timestamptz,
  mode text,
  held_in text,
  new_digest bytea,
  now_at timestamptz,
  out holder text,
  out answer text,
  out new_state text
)
language plpgsql
set enable_seqscan = off
set jit = off
as $$
declare
  taken record;
  state text;
begin
  loop
    select known.job_id, known.until
    into taken
    from conveyor.deduplication_keys as known
    where known.queue = new_queue and known.name = new_name and known.key = new_key
    for no key update;

    -- Only now: whoever had the key locked until now may have made this very add.
    select known.job_id, known.outcome
    into holder, answer
    from (
      select adds.job_id, adds.outcome, adds.forget_at
      from conveyor.deduplicated_adds as adds
      where adds.digest = new_digest
      offset 0
    ) as known
    where known.forget_at > now_at;
    if found then
      return;
    end if;

    if taken.job_id is null then
      insert into conveyor.deduplication_keys (queue, name, key, job_id, until)
      values (new_queue, new_name, new_key, new_id, new_until)
      on conflict (queue, name, key) do nothing;
      if found then
        return;
      end if;
      continue;
    end if;

    select live.state into state from conveyor.live where live.id = taken.job_id;
    if not found and held_in ~ 'completed|failed|cancelled' then
      select history.state into state from conveyor.history where history.id = taken.job_id;
    end if;
    if taken.until <= now_at
      or (state is null or state <> all(string_to_array(held_in, ','))) and (mode <> 'throttle' or taken.until is null)
    then
      update conveyor.deduplication_keys as known
      set job_id = new_id, until = new_until
      where known.queue = new_queue and known.name = new_name and known.key = new_key;
      return;
    end if;

    new_state := case when due_at > now_at then 'delayed' else 'waiting' end;
    if mode = 'replace' then
      update conveyor.live
      set payload = new_payload,
          -- One that added children is the top of a flow, and they are still its own.
          options = case
            when exists (select from conveyor.flow_parents as parents where parents.job_id = live.id)
            then convert_to(
              coalesce(left(convert_from(new_options, 'UTF8'), -1) || ',', '{') || '"flow_id":' || to_json(live.id) || '}',
              'UTF8'
            )
            else new_options
          end,
          added_payload = coalesce(live.added_payload, live.payload),
          priority = coalesce(new_priority, 0),
          expires_at = new_expires_at,
          state = meet_key.new_state,
          run_at = place.run_at,
          order_at = case when is_lifo then -1 - conveyor.micros(place.run_at) else conveyor.micros(place.run_at) end,
          order_seq = case when is_lifo then -1 - live.seq else live.seq end
      from (
        select
          kept.id,
          case when kept.state = 'waiting' and meet_key.new_state = 'waiting' then kept.run_at else due_at end as run_at
        from conveyor.live as kept
        where kept.id = taken.job_id
          and kept.state in ('waiting', 'delayed')
        for no key update
      ) as place
      where live.id = taken.job_id
        and live.id = place.id;
      -- It was fetched or ended meanwhile: look again.
      continue when not found;
    elsif mode = 'debounce' then
      update conveyor.live
      set state = meet_key.new_state,
          run_at = due_at,
          order_at = case when live.order_seq < 0 then -1 - conveyor.micros(due_at) else conveyor.micros(due_at) end
      where live.id = taken.job_id
        and live.state in ('waiting', 'delayed');
      continue when not found;
    else
      new_state := null;
    end if;

    holder := taken.job_id;
    answer := case mode
      when 'keep' then 'kept'
      when 'replace' then 'replaced'
      when 'debounce' then 'postponed'
      when 'throttle' then 'throttled'
      else 'rejected'
    end;
    -- One that was remembered too long ago may still be there.
    insert into conveyor.deduplicated_adds as known (digest, job_id, outcome, forget_at)
    values (new_digest, holder, answer, now_at + interval '1 minute')
    on conflict (digest) do update
    set job_id = excluded.job_id, outcome = excluded.outcome, forget_at = excluded.forget_at;
    return;
  end loop;
end
$$;

-- Adds jobs of which some have deduplication keys (null: none), as if each came alone, in order; see add_jobs. met has the
-- places of those that another job had the key of, with its id and what they are answered.
create function conveyor.add_deduplicated_jobs(
  ids text[],
  queues text[],
  names text[],
  payloads bytea[],
  options bytea[],
  priorities integer[],
  lifos boolean[],
  delays interval[],
  run_ats timestamptz[],
  expire_ins interval[],
  expire_ats timestamptz[],
  since timestamptz,
  moment timestamptz,
  notifies boolean,
  keys text[],
  ttls interval[],
  modes text[],
  held_ins text[],
  digests bytea[],
  out woken text[],
  out delayed text[],
  out duplicates bigint[],
  out met bigint[],
  out met_ids text[],
  out met_outcomes text[]
)
language plpgsql
set enable_seqscan = off
set jit = off
as $$
declare
  now_at timestamptz := coalesce(moment, clock_timestamp());
  number bigint := cardinality(add_deduplicated_jobs.ids);
  first_place bigint := 1;
  has_repeats boolean := (
    select count(distinct asked.id) from unnest(add_deduplicated_jobs.ids) as asked(id)
  ) < number;
  is_added boolean[];
  rest bigint[] := '{}';
  left_over bigint[];
  i bigint;
  added record;
  told record;
begin
  if has_repeats then
    is_added := array(select asked.key is null from unnest(add_deduplicated_jobs.keys) as asked(key));
  else
    select taken.is_added, taken.met, taken.met_ids, taken.met_outcomes
    into is_added, met, met_ids, met_outcomes
    from conveyor.take_or_meet_keys(
      ids, queues, names, keys, ttls, modes, held_ins, digests, since, now_at
    ) as taken;
  end if;
  if false = any(is_added) then
    rest := array(
      select asked.place
      from unnest(is_added) with ordinality as asked(is_added, place)
      where not asked.is_added
      except
      select unnest(met)
      order by 1
    );
    -- In one order, too, and only what takes no part in a circle: keys first, jobs later.
    perform
    from (
      select distinct
        asked.key collate "C" as key, asked.queue collate "C" as queue, asked.name collate "C" as name
      from unnest(add_deduplicated_jobs.queues, add_deduplicated_jobs.names, add_deduplicated_jobs.keys)
        with ordinality as asked(queue, name, key, place)
      where asked.place in (select unnest(rest))
      order by 1, 2, 3
    ) as asked
    cross join lateral (
      select
      from conveyor.deduplication_keys as known
      where known.queue = asked.queue and known.name = asked.name and known.key = asked.key
      for no key update
    ) as locked;
    if not has_repeats and cardinality(rest) > 1 then
      left_over := conveyor.take_free_keys(
        ids, queues, names, keys, ttls, modes, held_ins, digests, since, now_at, rest
      );
      for i in select unnest(rest) except select unnest(left_over) loop
        is_added[i] := true;
      end loop;
      rest := left_over;
    end if;
  end if;

  -- The place after the last stands for the end.
  foreach i in array rest || (number + 1) loop
    -- What is to be added before this one may be what holds its key, or has its id.
    if i > number or has_repeats or (
      select known.job_id
      from conveyor.deduplication_keys as known
      where known.queue = queues[i] and known.name = names[i] and known.key = keys[i]
    ) = any(ids[first_place : i - 1]) then
      added := conveyor.add_some_jobs(
        ids, queues, names, payloads, options, priorities, lifos, delays, run_ats, expire_ins, expire_ats, since, moment,
        notifies, is_added, first_place, i - 1
      );
      woken := woken || added.woken;
      delayed := delayed || added.delayed;
      duplicates := duplicates || added.duplicates;
      first_place := i;
    end if;
    exit when i > number;

    if exists (select from conveyor.live where live.id = ids[i])
      or exists (select from conveyor.history where history.id = ids[i] and history.finished_at >= since)
    then
      is_added[i] := true;  -- or rather, it is told whether that is the same
      continue;
    end if;
    told := conveyor.meet_key(
      ids[i], queues[i], names[i], payloads[i], options[i], priorities[i], lifos[i],
      conveyor.sayable(greatest(now_at, coalesce(now_at + delays[i], run_ats[i], now_at))),
      conveyor.sayable(coalesce(now_at + expire_ins[i], expire_ats[i])),
      keys[i], conveyor.sayable(now_at + ttls[i]), modes[i], held_ins[i], digests[i], now_at
    );
    if told.holder is null then
      is_added[i] := true;
    else
      met := met || i::bigint;
      met_ids := met_ids || told.holder;
      met_outcomes := met_outcomes || told.answer;
      if told.new_state = 'delayed' then
        delayed := delayed || queues[i];
      elsif told.new_state = 'waiting' then
        woken := woken || queues[i];
      end if;
      if notifies and told.new_state is not null then
        perform pg_notify(
          'conveyor.hints',
          format('- [["%s", %s, ""]]', case told.new_state when 'delayed' then 'delayed' else 'added' end, to_json(queues[i]))
        );
      end if;
    end if;
  end loop;

  -- Each add clears away twice as much as it leaves.
  if met is not null then
    delete from conveyor.deduplicated_adds
    where digest = any(array(
      select old.digest
      from conveyor.deduplicated_adds as old
      where old.forget_at <= now_at
      order by old.forget_at
      limit 2 * cardinality(met)
      for update skip locked
    ));
  end if;
  if ttls is not null then
    delete from conveyor.deduplication_keys
    where ctid = any(array(
      select old.ctid
      from conveyor.deduplication_keys as old
      where old.until <= now_at
      order by old.until
      limit 2 * number
      for update skip locked
    ));
  end if;
end
$$;

-- Adds jobs of which some have groups with a size, as if each came alone, in order; see add_jobs. group_ids and sizes are
-- null where there is none. crowded has the places of those that were refused because their group is full.
create function conveyor.add_sized_jobs(
  ids text[],
  queues text[],
  names text[],
  payloads bytea[],
  options bytea[],
  priorities integer[],
  lifos boolean[],
  delays interval[],
  run_ats timestamptz[],
  expire_ins interval[],
  expire_ats timestamptz[],
  since timestamptz,
  moment timestamptz,
  notifies boolean,
  group_ids text[],
  sizes bigint[],
  out woken text[],
  out delayed text[],
  out duplicates bigint[],
  out crowded bigint[]
)
language plpgsql
set enable_seqscan = off
set jit = off
as $$
declare
  now_at timestamptz := coalesce(moment, clock_timestamp());
  number bigint := cardinality(add_sized_jobs.ids);
  added record;
begin
  -- Whoever adds to a group with a size waits for the others who do, in one order.
  perform pg_advisory_xact_lock(asked.lock)
  from (
    select distinct hashtextextended(given.queue || e'\x01' || given.group_id, 0) as lock
    from unnest(add_sized_jobs.queues, add_sized_jobs.group_ids, sizes) as given(queue, group_id, size)
    where given.size is not null
    order by 1
  ) as asked;

  for i in 1 .. number loop
    if sizes[i] is not null
      and greatest(now_at, coalesce(now_at + delays[i], run_ats[i], now_at)) <= now_at
      and not exists (select from conveyor.live where live.id = ids[i])
      and not exists (select from conveyor.history where history.id = ids[i] and history.finished_at >= since)
      and sizes[i] <= conveyor.count_group(queues[i], group_ids[i])
    then
      crowded := crowded || i::bigint;
      continue;
    end if;
    added := conveyor.add_jobs(
      ids[i:i], queues[i:i], names[i:i], payloads[i:i], options[i:i], priorities[i:i], lifos[i:i], delays[i:i],
      run_ats[i:i], expire_ins[i:i], expire_ats[i:i], since, moment, notifies
    );
    woken := woken || added.woken;
    delayed := delayed || added.delayed;
    if added.duplicates is not null then
      duplicates := duplicates || i::bigint;
    end if;
  end loop;
end
$$;

-- Adds one job that has a deduplication key and a group with a size, given as arrays of one; see add_deduplicated_jobs. It
-- is refused, and takes no key, where it would be added and its group is full: crowded has its place then.
create function conveyor.add_sized_keyed_job(
  ids text[],
  queues text[],
  names text[],
  payloads bytea[],
  options bytea[],
  priorities integer[],
  lifos boolean[],
  delays interval[],
  run_ats timestamptz[],
  expire_ins interval[],
  expire_ats timestamptz[],
  since timestamptz,
  moment timestamptz,
  notifies boolean,
  keys text[],
  ttls interval[],
  modes text[],
  held_ins text[],
  digests bytea[],
  group_id text,
  size bigint,
  out woken text[],
  out delayed text[],
  out duplicates bigint[],
  out met bigint[],
  out met_ids text[],
  out met_outcomes text[],
  out crowded bigint[]
)
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended(queues[1] || e'\x01' || group_id, 0));
  select added.woken, added.delayed, added.duplicates, added.met, added.met_ids, added.met_outcomes
  into woken, delayed, duplicates, met, met_ids, met_outcomes
  from conveyor.add_deduplicated_jobs(
    ids, queues, names, payloads, options, priorities, lifos, delays, run_ats, expire_ins, expire_ats, since, moment,
    notifies, keys, ttls, modes, held_ins, digests
  ) as added;
  -- It is there, and met nothing: only now is it known that it is one more.
  if met is null and woken is not null and conveyor.count_group(queues[1], group_id) > size then
    raise exception 'group % is full', group_id using errcode = 'CV002';
  end if;
exception
  when sqlstate 'CV002' then
    woken := null;
    crowded := array[1];
end
$$;

-- How many jobs of a group wait.
create function conveyor.count_group(of_queue text, of_group text) returns bigint
language plpgsql stable as $$
begin
  return (
    select count(*)
    from conveyor.live
    where live.queue = of_queue and live.group_id = of_group and live.state = 'waiting' and live.stalled_count = 0
  ) + (
    select count(*)
    from conveyor.live
    where live.queue = of_queue and live.group_id = of_group and live.state = 'waiting' and live.stalled_count > 0
  );
end
$$;

-- Keeps flows, each by the id of its topmost job, from being told of anything else until the transaction ends. Whoever
-- tells parents locks their flow before it locks a job: jobs are told upwards, from child to parent, and two who climb
-- through one flow by different ways would wait for each other in a circle. Flows share a few hundred locks, so that
-- their number does not matter; locks are taken in their order.
create function conveyor.lock_flows(flows text[]) returns void
language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(1668247158, 0);
  perform pg_advisory_xact_lock(1668247158, asked.slot)
  from (
    select distinct 1 + (hashtext(asked.id) & 255) as slot
    from unnest(lock_flows.flows) as asked(id)
    where asked.id is not null
    order by 1
  ) as asked;
end
$$;

-- The same for all flows at once, if there are any: for those who do not know yet which jobs they change.
create function conveyor.lock_all_flows() returns void
language plpgsql as $$
begin
  if exists (select from conveyor.flow_edges) then
    perform pg_advisory_xact_lock(1668247158, 0);
  end if;
end
$$;

-- The same where a worker's lock is over: nearly always there is none.
create function conveyor.lock_flows_of_stalled(now_at timestamptz) returns void
language plpgsql as $$
begin
  if exists (select from conveyor.sessions where sessions.expires_at <= now_at) then
    perform conveyor.lock_all_flows();
  end if;
end
$$;

-- The same where a fetch from these queues finds children that had not started in time, whose parents it tells.
create function conveyor.lock_flows_of_expired(queues text[], now_at timestamptz) returns void
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
begin
  if exists (
    select
    from unnest(lock_flows_of_expired.queues) as asked(queue)
    join conveyor.live on live.queue = asked.queue
    where live.expires_at <= now_at
      and live.state <> 'active'
      -- With an offset, each is looked up by itself; without, the server may choose to read all of the table for it.
      and exists (select from conveyor.flow_edges where flow_edges.child_id = live.id offset 0)
  ) then
    perform conveyor.lock_all_flows();
  end if;
end
$$;

-- Lets a job that waits for its children go on as they stand; `kind` is the hint for its queue, null where it waits on.
-- It fails because of the child given, or of any that failed; `reason` is its error then.
create function conveyor.go_on(
  parent text,
  failed_child text,
  failed_outcome text,
  now_at timestamptz,
  out kind text,
  out of_queue text,
  out reason bytea
)
language plpgsql
set enable_seqscan = off
set jit = off
as $$
declare
  known conveyor.flow_parents;
  said text;
  earliest timestamptz;
  due_at timestamptz;
begin
  select live.queue, live.run_at
  into of_queue, earliest
  from conveyor.live
  where live.id = parent
    and live.state = 'waiting_children'
  for no key update;
  if not found then
    return;
  end if;
  select * into known from conveyor.flow_parents where flow_parents.job_id = parent;

  if known.failed_count > 0 and known.policy = 'fail' then
    if failed_child is null then
      select flow_edges.child_id, flow_edges.outcome
      into failed_child, failed_outcome
      from conveyor.flow_edges
      where flow_edges.parent_id = parent
        and flow_edges.outcome <> 'completed'
      order by flow_edges.seq
      limit 1;
    end if;
    kind := 'finished';
    said := case failed_outcome when 'removed' then 'was removed before it ended' else failed_outcome end;
    reason := convert_to(
      json_build_object(
        'type', 'ChildFailed',
        'message', format('its child %s %s', failed_child, said),
        'traceback', '',
        -- As conveyor.model.flows.child_failed makes it.
        'fingerprint',
        (
          select left(encode(sha256(string_agg(convert_to(one.part, 'UTF8'), '\x00' order by one.place)), 'hex'), 16)
          from conveyor.live,
            unnest(array[live.queue, live.name, 'ChildFailed', 'its child # ' || said])
              with ordinality as one(part, place)
          where live.id = parent
        )
      )::text,
      'UTF8'
    );
    with gone as (
      delete from conveyor.live
      where live.id = parent
      returning live.*
    ),
    remembered as (
      insert into conveyor.removed (job_id, session_id, fetch_number, outcome, state, finished_at, error)
      select gone.id, coalesce(gone.session_id, ''), coalesce(gone.fetch_number, 0), '', 'failed', now_at, reason
      from gone
      where known.is_removed
    ),
    told as (
      insert into conveyor.events (kind, queue, job_id, name, data)
      select news.kind, gone.queue, gone.id, gone.name, news.data
      from gone
      cross join (values (1, 'failed', reason), (2, 'removed', null)) as news(place, kind, data)
      where known.is_removed
        and exists (select from conveyor.watchers where watchers.queue in ('', gone.queue))
      order by news.place
    )
    insert into conveyor.history (
      id, seq, queue, name, state, priority, attempts_made, stalled_count, fetch_number, created_at, run_at,
      started_at, finished_at, expires_at, kept_until, session_id, payload, options, added_payload, progress, error
    )
    select
      gone.id, gone.seq, gone.queue, gone.name, 'failed', gone.priority, gone.attempts_made, gone.stalled_count,
      gone.fetch_number, gone.created_at, gone.run_at, gone.started_at, now_at, gone.expires_at,
      conveyor.sayable(now_at + known.kept_for), gone.session_id, gone.payload, gone.options, gone.added_payload,
      gone.progress, reason
    from gone
    where not known.is_removed;
    if known.is_removed then
      delete from conveyor.attempts where attempts.job_id = parent;
      delete from conveyor.logs where logs.job_id = parent;
      perform conveyor.forget_parents(array[parent]);
    end if;
  elsif coalesce(known.open_count, 0) <= 0 then
    due_at := greatest(earliest, now_at, conveyor.sayable(now_at + known.delay));
    kind := case when due_at > now_at then 'delayed' else 'added' end;
    update conveyor.live
    set state = case when due_at > now_at then 'delayed' else 'waiting' end,
        run_at = due_at,
        order_at = case when live.order_seq < 0 then -1 - conveyor.micros(due_at) else conveyor.micros(due_at) end
    where live.id = parent;
    update conveyor.flow_parents
    set delay = null
    where flow_parents.job_id = parent
      and flow_parents.delay is not null;
  end if;
end
$$;

-- Forgets what was known of the children of jobs that are gone.
create function conveyor.forget_parents(ids text[]) returns void
language plpgsql
set enable_seqscan = off
set jit = off
as $$
begin
  delete from conveyor.flow_edges where flow_edges.parent_id = any(forget_parents.ids);
  delete from conveyor.flow_parents where flow_parents.job_id = any(forget_parents.ids);
end
$$;

-- Tells the parents of jobs that ended, each given by its place in the arrays, and those of parents that fail by it, up
-- to the top; returns the hints for the queues of those that went on.
create function conveyor.tell_parents(
  ids text[], outcomes text[], results bytea[], errors bytea[], now_at timestamptz
)
returns table (kind text, of_queue text)
language plpgsql
set enable_seqscan = off
-- Both sides of each join have as many rows as there are ends; what is not among them is never looked at.
set enable_hashjoin = on
set enable_mergejoin = off
set enable_nestloop = off
set jit = off
as $$
declare
  parent record;
  step record;
  next_ids text[];
  next_errors bytea[];
begin
  while cardinality(ids) > 0 loop
    next_ids := '{}';
    next_errors := '{}';
    for parent in
      with told as (
        update conveyor.flow_edges
        set outcome = given.outcome, result = given.result, error = given.error
        from unnest(tell_parents.ids, outcomes, results, errors) as given(id, outcome, result, error)
        where flow_edges.child_id = any(tell_parents.ids)
          and flow_edges.child_id = given.id
          and flow_edges.outcome is null
        returning flow_edges.parent_id, flow_edges.child_id, flow_edges.outcome
      ),
      counts as (
        select
          told.parent_id,
          count(*) as ended,
          count(*) filter (where told.outcome <> 'completed') as failed,
          min(told.child_id) filter (where told.outcome <> 'completed') as failed_child
        from told
        group by told.parent_id
      ),
      counted as (
        update conveyor.flow_parents
        set open_count = flow_parents.open_count - counts.ended,
            failed_count = flow_parents.failed_count
              + case when flow_parents.policy = 'remove' then 0 else counts.failed end
        from counts
        where flow_parents.job_id = any(array(select counts.parent_id from counts))
          and flow_parents.job_id = counts.parent_id
        returning flow_parents.job_id, flow_parents.policy, counts.failed, counts.failed_child
      )
      select
        counted.*,
        (
          select told.outcome
          from told
          where told.parent_id = counted.job_id and told.child_id = counted.failed_child
        ) as failed_outcome
      from counted
      order by counted.job_id
    loop
      if parent.failed > 0 and parent.policy = 'remove' then
        delete from conveyor.flow_edges
        where flow_edges.parent_id = parent.job_id
          and flow_edges.child_id = any(tell_parents.ids)
          and flow_edges.outcome <> 'completed';
      end if;
      select * into step from conveyor.go_on(parent.job_id, parent.failed_child, parent.failed_outcome, now_at);
      if step.kind is not null then
        kind := step.kind;
        of_queue := step.of_queue;
        return next;
      end if;
      if step.reason is not null then
        next_ids := next_ids || parent.job_id::text;
        next_errors := next_errors || step.reason;
      end if;
    end loop;
    ids := next_ids;
    errors := next_errors;
    outcomes := array_fill('failed'::text, array[cardinality(next_ids)]);
    results := null;
  end loop;
end
$$;

-- Adds jobs, as add_jobs does, of which some have children among them, or are the children of others; `parents` and what
-- follows are those who have children, `waiting` those of them that are new, with the times that are their own. `digest` is
-- that of a whole flow, whose root is the last job: where that is there as the root of the same flow, all of it was added
-- before. Otherwise, where an id is taken, nothing is added, and `taken` has the places of those.
create function conveyor.add_flow(
  ids text[],
  queues text[],
  names text[],
  payloads bytea[],
  options bytea[],
  priorities integer[],
  lifos boolean[],
  delays interval[],
  run_ats timestamptz[],
  expire_ins interval[],
  expire_ats timestamptz[],
  since timestamptz,
  moment timestamptz,
  notifies boolean,
  parents text[],
  policies text[],
  holds interval[],
  removals boolean[],
  keeps interval[],
  waiting text[],
  earliest timestamptz[],
  edge_parents text[],
  edge_children text[],
  edge_queues text[],
  edge_names text[],
  digest bytea,
  out woken text[],
  out delayed text[],
  out taken bigint[]
)
language plpgsql
-- Whatever the statistics say, each id is looked up in an index.
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  added record;
  was_added boolean;
begin
  loop
    select
      array_agg(asked.place order by asked.place),
      bool_or(
        asked.place = cardinality(add_flow.ids)
        and known.queue = asked.queue and known.name = asked.name and known.payload = asked.payload
        and exists (
          select 1 from conveyor.flow_parents where job_id = asked.id and flow_parents.digest = add_flow.digest
        )
      )
    into taken, was_added
    from unnest(add_flow.ids, add_flow.queues, add_flow.names, add_flow.payloads) with ordinality
      as asked(id, queue, name, payload, place)
    cross join lateral (
      select live.queue, live.name, coalesce(live.added_payload, live.payload) as payload
      from conveyor.live
      where live.id = asked.id
      union all
      select history.queue, history.name, coalesce(history.added_payload, history.payload)
      from conveyor.history
      where history.id = asked.id
    ) as known;
    if was_added then
      taken := null;
    end if;
    exit when was_added or taken is not null;

    begin
      select *
      into added
      from conveyor.add_jobs(
        ids, queues, names, payloads, options, priorities, lifos, delays, run_ats, expire_ins, expire_ats, since,
        moment, notifies
      );
      if not added.are_new then
        raise unique_violation;
      end if;
      insert into conveyor.flow_parents (job_id, policy, delay, is_removed, kept_for, digest)
      select
        asked.id, asked.policy, asked.hold, asked.is_removed, asked.kept_for,
        case when asked.id = add_flow.ids[cardinality(add_flow.ids)] then add_flow.digest end
      from unnest(parents, policies, holds, removals, keeps) as asked(id, policy, hold, is_removed, kept_for)
      order by asked.id
      on conflict (job_id) do nothing;

      update conveyor.live
      set state = 'waiting_children', run_at = greatest(live.run_at, asked.run_at)
      from unnest(waiting, earliest) as asked(id, run_at)
      where live.id = asked.id;

      with linked as (
        insert into conveyor.flow_edges (parent_id, child_id, queue, name)
        select asked.parent_id, asked.child_id, asked.queue, asked.name
        from unnest(edge_parents, edge_children, edge_queues, edge_names) with ordinality
          as asked(parent_id, child_id, queue, name, place)
        order by asked.place
        on conflict (parent_id, child_id) do nothing
        returning flow_edges.parent_id
      )
      update conveyor.flow_parents
      set open_count = flow_parents.open_count + counts.more
      from (select linked.parent_id, count(*) as more from linked group by linked.parent_id) as counts
      where flow_parents.job_id = counts.parent_id;

      woken := added.woken;
      delayed := added.delayed;
      exit;
    exception
      when unique_violation then
        -- Somebody took an id after we had looked: what was added is undone, and we look again.
        null;
    end;
  end loop;
end
$$;

-- Tells the parents of jobs whose runs were settled now, and lets those go on that wait for their children. Only runs whose
-- job belongs to a flow are meant. A settlement that is repeated later told them when it was applied.
create function conveyor.tell_of_runs(
  ids text[],
  session_ids text[],
  numbers bigint[],
  outcomes text[],
  states text[],
  results bytea[],
  errors bytea[],
  flows text[],
  now_at timestamptz
)
returns table (kind text, of_queue text)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  ended record;
  waiting text;
  step record;
begin
  select
    array_agg(asked.id order by asked.place) as ids,
    array_agg(asked.state order by asked.place) as outcomes,
    array_agg(asked.result order by asked.place) as results,
    array_agg(asked.error order by asked.place) as errors,
    array_agg(asked.id) filter (where not asked.is_kept) as gone
  into ended
  from (
    select
      given.*,
      exists (
        select
        from conveyor.history
        where history.id = given.id
          -- It was settled by this very call: other days are not looked at.
          and history.finished_at = now_at
          and history.session_id = given.session_id
          and history.fetch_number = given.number
          and history.outcome = given.outcome
        offset 0
      ) as is_kept
    from unnest(tell_of_runs.ids, session_ids, numbers, outcomes, states, results, errors, tell_of_runs.flows)
      with ordinality
      as given(id, session_id, number, outcome, state, result, error, flow, place)
    where given.flow is not null
      and given.state in ('completed', 'failed', 'cancelled')
  ) as asked
  where asked.is_kept
    or (
      exists (
        select
        from conveyor.removed
        where removed.job_id = asked.id
          and removed.session_id = asked.session_id
          and removed.fetch_number = asked.number
          and removed.outcome = asked.outcome
        offset 0
      )
      and not exists (select from conveyor.live where live.id = asked.id offset 0)
      and not exists (select from conveyor.history where history.id = asked.id offset 0)
    );
  if ended.gone is not null then
    perform conveyor.forget_parents(ended.gone);
  end if;

  for waiting in
    select asked.id
    from unnest(tell_of_runs.ids, states, tell_of_runs.flows) as asked(id, state, flow)
    where asked.flow is not null
      and asked.state = 'waiting_children'
    order by asked.id
  loop
    select * into step from conveyor.go_on(waiting, null, null, now_at);
    if step.kind is not null then
      kind := step.kind;
      of_queue := step.of_queue;
      return next;
    end if;
    if step.reason is not null then
      ended.ids := ended.ids || waiting;
      ended.outcomes := ended.outcomes || 'failed'::text;
      ended.results := ended.results || null::bytea;
      ended.errors := ended.errors || step.reason;
    end if;
  end loop;

  return query
    select told.kind, told.of_queue
    from conveyor.tell_parents(ended.ids, ended.outcomes, ended.results, ended.errors, now_at) as told;
end
$$;

-- Tells the parents of jobs that are gone, and forgets what was known of their children.
create function conveyor.remove_from_flows(ids text[], now_at timestamptz)
returns table (kind text, of_queue text)
language plpgsql as $$
begin
  -- A parent may have no edges left: those of failed children go with its policy.
  if not exists (select from conveyor.flow_edges) and not exists (select from conveyor.flow_parents) then
    return;
  end if;
  perform conveyor.forget_parents(remove_from_flows.ids);
  return query
    select told.kind, told.of_queue
    from conveyor.tell_parents(
      remove_from_flows.ids,
      array_fill('removed'::text, array[cardinality(remove_from_flows.ids)]),
      null,
      null,
      now_at
    ) as told;
end
$$;

-- Notes in its flows that a settled job runs again, and forgives its children that failed; returns its state then.
create function conveyor.reopen_in_flows(id text) returns text
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  own integer;
begin
  update conveyor.flow_parents
  set open_count = flow_parents.open_count + 1,
      failed_count = greatest(
        flow_parents.failed_count - case when flow_edges.outcome <> 'completed' then 1 else 0 end, 0
      )
  from conveyor.flow_edges
  where flow_edges.child_id = reopen_in_flows.id
    and flow_edges.outcome is not null
    and flow_parents.job_id = flow_edges.parent_id;

  update conveyor.flow_edges
  set outcome = null, result = null, error = null
  where flow_edges.child_id = reopen_in_flows.id
    and flow_edges.outcome is not null;

  update conveyor.flow_parents
  set failed_count = 0
  where flow_parents.job_id = reopen_in_flows.id
  returning flow_parents.open_count into own;
  return case when own > 0 then 'waiting_children' else 'waiting' end;
end
$$;

-- Cancels live jobs of a queue that had not started in time, and tells their parents; returns how many.
create function conveyor.expire_jobs_of(queue_name text, now_at timestamptz, longest bigint) returns bigint
language plpgsql
set enable_seqscan = off
set jit = off
as $$
declare
  cancelled bigint;
  ended text[];
  reasons bytea[];
begin
  with due as (
    select live.id
    from conveyor.live
    where live.queue = queue_name
      and live.expires_at <= now_at
      and live.state <> 'active'
    order by live.expires_at
    limit longest
    for no key update skip locked
  ),
  gone as (
    delete from conveyor.live
    where live.id = any(array(select due.id from due))
    returning live.*
  ),
  kept as (
    insert into conveyor.history (
      id, seq, queue, name, state, priority, attempts_made, stalled_count, fetch_number, created_at, run_at,
      started_at, finished_at, expires_at, session_id, payload, options, added_payload, progress, error
    )
    select
      gone.id, gone.seq, gone.queue, gone.name, 'cancelled', gone.priority, gone.attempts_made, gone.stalled_count,
      gone.fetch_number, gone.created_at, gone.run_at, gone.started_at, now_at, gone.expires_at, gone.session_id,
      gone.payload, gone.options, gone.added_payload, gone.progress,
      convert_to(
        json_build_object(
          'type', 'Expired',
          'message',
          'it had not started by ' || to_char(gone.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"+00:00"'),
          'traceback', ''
        )::text,
        'UTF8'
      )
    from gone
    returning history.id, history.error
  )
  select count(*), array_agg(kept.id), array_agg(kept.error) into cancelled, ended, reasons from kept;

  if cancelled > 0 and exists (select from conveyor.flow_edges) then
    -- It is seldom, and a fetch has no other way to say so.
    perform pg_notify('conveyor.hints', format('- [["%s", %s, ""]]', told.kind, to_json(told.of_queue)))
    from conveyor.tell_parents(
      ended, array_fill('cancelled'::text, array[cardinality(ended)]), null, reasons, now_at
    ) as told;
  end if;
  return cancelled;
end
$$;

-- Cancels live jobs of every queue that had not started in time; returns how many of each queue.
create function conveyor.expire_jobs(now_at timestamptz, longest bigint)
returns table (queue text, count bigint)
language plpgsql
set enable_seqscan = off
set jit = off
as $$
begin
  for queue in select known.name from conveyor.queue_names as known order by known.name loop
    exit when longest <= 0;
    continue when not exists (
      select
      from conveyor.live
      where live.queue = expire_jobs.queue
        and live.expires_at <= now_at
        and live.state <> 'active'
    );
    perform conveyor.lock_all_flows();
    count := conveyor.expire_jobs_of(queue, now_at, longest);
    longest := longest - count;
    if count > 0 then
      return next;
    end if;
  end loop;
end
$$;

-- A job as fetches and settlements return it; refused and reason tell of a settlement that was not applied.
create type conveyor.fetched_job as (
  id text,
  queue text,
  name text,
  payload bytea,
  options bytea,
  state text,
  priority integer,
  attempts_made integer,
  stalled_count integer,
  created_at timestamptz,
  run_at timestamptz,
  started_at timestamptz,
  finished_at timestamptz,
  session_id text,
  fetch_number bigint,
  progress bytea,
  result bytea,
  error bytea,
  expires_at timestamptz,
  order_at bigint,
  order_seq bigint,
  refused bigint,
  reason text
);

-- Remembers that a fetch of a worker session took place, whatever its number, and keeps the session; returns whether it
-- had not taken place before.
create function conveyor.note_fetch(session text, number bigint, until timestamptz) returns boolean
language plpgsql as $$
declare
  highest bigint;
  missed bigint[];
  is_new boolean;
begin
  select sessions.highest_fetch, sessions.missed_fetches
  into highest, missed
  from conveyor.sessions
  where sessions.id = session
  for no key update;
  if not found then
    raise exception 'there is no worker session' using errcode = 'CV001', detail = session;
  end if;

  is_new := number > highest or number = any(missed);
  if number > highest then
    missed := array(
      select m from unnest(missed || array(select generate_series(greatest(highest + 1, number - 1000), number - 1))) as m
      where m > number - 1000
    );
    highest := number;
  elsif is_new then
    missed := array_remove(missed, number);
  end if;
  update conveyor.sessions
  set highest_fetch = highest, missed_fetches = missed, expires_at = greatest(expires_at, until)
  where sessions.id = session;
  return is_new;
end
$$;

-- From when on a start of this weight has room under a rate, in microseconds; what a window has left behind is forgotten.
create function conveyor.rate_room(
  of_queue text, of_scope text, of_key text, limiter jsonb, weight bigint, now_micros bigint
)
returns bigint
language plpgsql as $$
declare
  most bigint := limiter ->> 'max';
  per bigint := limiter ->> 'per';
  burst bigint := limiter ->> 'burst';
  used record;
  ended bigint;
  surplus bigint;
  room bigint := now_micros;
begin
  select rates.level, rates.at
  into used
  from conveyor.rates
  where rates.queue = of_queue and rates.scope = of_scope and rates.key = of_key;
  if not found then
    return room;
  end if;

  if burst is not null then
    surplus := conveyor.bucket_level(used.level, used.at, most, now_micros) + (weight - burst) * per;
    if surplus > 0 then
      room := now_micros + (surplus + most - 1) / most;
    end if;
  else
    with gone as (
      delete from conveyor.starts
      where starts.queue = of_queue and starts.scope = of_scope and starts.key = of_key and starts.at <= now_micros - per
      returning starts.weight
    )
    select coalesce(sum(gone.weight), 0) into ended from gone;
    surplus := used.level - ended + weight - most;
    if ended > 0 then
      update conveyor.rates
      set level = rates.level - ended
      where rates.queue = of_queue and rates.scope = of_scope and rates.key = of_key;
    end if;
    if surplus > 0 then
      select summed.at + per
      into room
      from (
        select starts.at, sum(starts.weight) over (order by starts.at) as total
        from conveyor.starts
        where starts.queue = of_queue and starts.scope = of_scope and starts.key = of_key
      ) as summed
      where summed.total >= surplus
      order by summed.at
      limit 1;
    end if;
  end if;

  if room > now_micros then
    update conveyor.rates
    set free_at = room
    where rates.queue = of_queue and rates.scope = of_scope and rates.key = of_key;
  end if;
  return room;
end
$$;

-- How full of starts a bucket is now that had this level at a time; a start is `per` high, and it sinks by `most` in a
-- microsecond, so that nothing is divided.
create function conveyor.bucket_level(level bigint, at bigint, most bigint, now_micros bigint) returns bigint
language sql immutable parallel safe
return greatest(0, level - least(greatest(now_micros - at, 0), level / most + 1) * most);

-- Counts starts of this weight under a rate, for which there is room.
create function conveyor.charge_rate(
  of_queue text, of_scope text, of_key text, limiter jsonb, weight bigint, now_micros bigint
)
returns void
language plpgsql as $$
declare
  most bigint := limiter ->> 'max';
  is_bucket boolean := limiter ? 'burst';
  height bigint := case when is_bucket then weight * (limiter ->> 'per')::bigint else weight end;
begin
  insert into conveyor.rates as known (queue, scope, key, level, at, free_at)
  values (of_queue, of_scope, of_key, height, now_micros, 0)
  on conflict (queue, scope, key) do update
  set level = height
        + case when is_bucket then conveyor.bucket_level(known.level, known.at, most, now_micros) else known.level end,
      at = now_micros;
  if not is_bucket then
    insert into conveyor.starts as known (queue, scope, key, at, weight)
    values (of_queue, of_scope, of_key, now_micros, charge_rate.weight)
    on conflict (queue, scope, key, at) do update set weight = known.weight + excluded.weight;
  end if;
end
$$;

-- The rates that a job of this name and group is counted under: their scopes and keys, what each holds up where it is
-- full, and what the job weighs.
create function conveyor.rates_of(rules jsonb, job_name text, of_group text)
returns table (scope text, key text, holds text, limiter jsonb, weight bigint)
language sql immutable
as $$
  select
    asked.scope, asked.key, asked.holds, asked.limiter,
    coalesce((asked.limiter -> 'weights' ->> job_name)::bigint, 1)
  from (
    values
      (
        'queue',
        case rules #>> '{limiter,key}' when 'name' then job_name when 'group' then of_group else '' end,
        coalesce(rules #>> '{limiter,key}', 'queue'),
        rules -> 'limiter'
      ),
      ('group', of_group, 'group', case when of_group <> '' then rules #> '{group,limiter}' end),
      ('name', job_name, 'name', rules -> 'names' -> job_name -> 'limiter')
  ) as asked(scope, key, holds, limiter)
  where asked.limiter is not null
$$;

-- What keeps a job of this name and group from starting now, if anything: what is held up by it, and until when where
-- only time makes room.
create function conveyor.obstacle(
  of_queue text, rules jsonb, job_name text, of_group text, now_micros bigint, out holds text, out free_at bigint
)
language plpgsql as $$
declare
  rate record;
begin
  if (rules ->> 'concurrency')::bigint <= (
    select count(*) from conveyor.live where live.queue = of_queue and live.state in ('active', '') and live.is_limited
  ) then
    holds := 'queue';
  elsif of_group <> '' and (rules #>> '{group,concurrency}')::bigint <= (
    select count(*)
    from conveyor.live
    where live.queue = of_queue and live.group_id = of_group and live.state in ('active', '') and live.is_limited
  ) then
    holds := 'group';
  elsif (rules -> 'names' -> job_name ->> 'concurrency')::bigint <= (
    select count(*)
    from conveyor.live
    where live.queue = of_queue and live.name = job_name and live.state in ('active', '') and live.is_limited
  ) then
    holds := 'name';
  elsif rules ? 'limiter' or rules ? 'names' or rules ? 'group' then
    for rate in select * from conveyor.rates_of(rules, job_name, of_group) loop
      free_at := conveyor.rate_room(of_queue, rate.scope, rate.key, rate.limiter, rate.weight, now_micros);
      if free_at > now_micros then
        holds := rate.holds;
        return;
      end if;
      free_at := null;
    end loop;
  end if;
end
$$;

-- The newest job of a priority in a group ('': none), those with the option lifo first; see group_head. It says the same
-- for each kind of group and of job: together they would have no index.
create function conveyor.newest_head(
  of_queue text, of_group text, level integer, wanted_name text, stopped text[], out head_id text, out head_name text
)
language plpgsql as $$
begin
  if of_group = '' then
    select live.id, live.name
    into head_id, head_name
    from conveyor.live
    where live.queue = of_queue
      and live.state = 'waiting'
      and live.stalled_count = 0
      and live.group_id is null
      and live.name <> all(stopped)
      and (wanted_name is null or live.name = wanted_name)
      and live.priority = level
      and live.order_at < 0
    order by live.order_at, live.order_seq
    limit 1
    for no key update skip locked;
    if not found then
      select live.id, live.name
      into head_id, head_name
      from conveyor.live
      where live.queue = of_queue
        and live.state = 'waiting'
        and live.stalled_count = 0
        and live.group_id is null
        and live.name <> all(stopped)
        and (wanted_name is null or live.name = wanted_name)
        and live.priority = level
        and live.order_at >= 0
      order by live.order_at desc, live.order_seq desc
      limit 1
      for no key update skip locked;
    end if;
  else
    select live.id, live.name
    into head_id, head_name
    from conveyor.live
    where live.queue = of_queue
      and live.state = 'waiting'
      and live.stalled_count = 0
      and live.group_id = of_group
      and live.name <> all(stopped)
      and (wanted_name is null or live.name = wanted_name)
      and live.priority = level
      and live.order_at < 0
    order by live.order_at, live.order_seq
    limit 1
    for no key update skip locked;
    if not found then
      select live.id, live.name
      into head_id, head_name
      from conveyor.live
      where live.queue = of_queue
        and live.state = 'waiting'
        and live.stalled_count = 0
        and live.group_id = of_group
        and live.name <> all(stopped)
        and (wanted_name is null or live.name = wanted_name)
        and live.priority = level
        and live.order_at >= 0
      order by live.order_at desc, live.order_seq desc
      limit 1
      for no key update skip locked;
    end if;
  end if;
end
$$;

-- The first waiting job of a group ('': none), with this name (null: any) that is not stopped: its id and name.
create function conveyor.group_head(
  of_queue text, of_group text, is_lifo boolean, wanted_name text, stopped text[], out head_id text, out head_name text
)
language plpgsql as $$
declare
  level integer;
begin
  if not is_lifo and of_group = '' then
    select live.id, live.name
    into head_id, head_name
    from conveyor.live
    where live.queue = of_queue
      and live.state = 'waiting'
      and live.stalled_count = 0
      and live.group_id is null
      and live.name <> all(stopped)
      and (wanted_name is null or live.name = wanted_name)
    order by live.priority, live.order_at, live.order_seq
    limit 1
    for no key update skip locked;
    return;
  elsif not is_lifo then
    select live.id, live.name
    into head_id, head_name
    from conveyor.live
    where live.queue = of_queue
      and live.state = 'waiting'
      and live.stalled_count = 0
      and live.group_id = of_group
      and live.name <> all(stopped)
      and (wanted_name is null or live.name = wanted_name)
    order by live.priority, live.order_at, live.order_seq
    limit 1
    for no key update skip locked;
    return;
  end if;

  -- Newest first: within the first priority those with the option lifo, then the others, backwards.
  level := -2147483648;
  loop
    if of_group = '' then
      select live.priority
      into level
      from conveyor.live
      where live.queue = of_queue
        and live.state = 'waiting'
        and live.stalled_count = 0
        and live.group_id is null
        and live.name <> all(stopped)
        and (wanted_name is null or live.name = wanted_name)
        and live.priority >= level
      order by live.priority, live.order_at, live.order_seq
      limit 1;
    else
      select live.priority
      into level
      from conveyor.live
      where live.queue = of_queue
        and live.state = 'waiting'
        and live.stalled_count = 0
        and live.group_id = of_group
        and live.name <> all(stopped)
        and (wanted_name is null or live.name = wanted_name)
        and live.priority >= level
      order by live.priority, live.order_at, live.order_seq
      limit 1;
    end if;
    exit when not found;
    select first.head_id, first.head_name
    into head_id, head_name
    from conveyor.newest_head(of_queue, of_group, level, wanted_name, stopped) as first;
    exit when head_id is not null or level = 2147483647;
    level := level + 1;
  end loop;
end
$$;

-- Makes a job active in a queue with limits or groups, where it is counted.
create function conveyor.start_guarded(
  job_id text, session text, number bigint, of_queue text, rules jsonb, job_name text, of_group text,
  now_at timestamptz
)
returns void
language plpgsql as $$
begin
  if rules ? 'limiter' or rules ? 'names' or rules ? 'group' then
    perform conveyor.charge_rate(of_queue, asked.scope, asked.key, asked.limiter, asked.weight, conveyor.micros(now_at))
    from conveyor.rates_of(rules, job_name, of_group) as asked;
  end if;
  update conveyor.live
  set state = 'active', session_id = session, fetch_number = number, started_at = now_at,
      is_limited = (select guards.is_counted from conveyor.guards where guards.queue = of_queue)
  where live.id = job_id;
end
$$;

-- Locks the first job of a queue with limits or groups that stalled before and may start; returns it.
create function conveyor.lock_guarded_suspect(
  session text, number bigint, of_queue text, wanted_name text, excluded text[], stopped text[], now_at timestamptz
)
returns text[]
language plpgsql as $$
declare
  rules jsonb := (select coalesce(guards.limits, '{}') from conveyor.guards where guards.queue = of_queue);
  head record;
begin
  for head in
    select live.id, live.name, coalesce(live.group_id, '') as group_id
    from conveyor.live
    where live.queue = of_queue
      and live.state = 'waiting'
      and live.stalled_count > 0
      and live.name <> all(stopped)
      and (wanted_name is null or live.name = wanted_name)
      and not exists (
        select
        from conveyor.live as held
        where held.session_id = session
          and held.state = 'active'
          and held.stalled_count > 0
      )
    order by live.priority, live.order_at, live.order_seq
    for no key update skip locked
  loop
    continue when head.group_id = any(excluded);
    if (conveyor.obstacle(of_queue, rules, head.name, head.group_id, conveyor.micros(now_at))).holds is null then
      perform conveyor.start_guarded(head.id, session, number, of_queue, rules, head.name, head.group_id, now_at);
      return array[head.id];
    end if;
  end loop;
  return '{}';
end
$$;

-- Gives the groups their places that have joined since, and returns whether there were any.
create function conveyor.join_groups(of_queue text, round bigint) returns boolean
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
begin
  if not exists (select from conveyor.queue_groups where queue_groups.queue = of_queue and queue_groups.at is null) then
    return false;
  end if;
  delete from conveyor.queue_groups
  where queue_groups.ctid = any(array(
    select extra.ctid
    from conveyor.queue_groups as extra
    where extra.queue = of_queue
      and extra.at is null
      and exists (
        select
        from conveyor.queue_groups as first
        where first.queue = of_queue
          and first.group_id = extra.group_id
          and (first.at is not null or first.seq < extra.seq)
        offset 0
      )
    for update skip locked
  ));
  update conveyor.queue_groups as joining
  set at = round
  where joining.queue = of_queue
    and joining.at is null
    and not exists (
      select
      from conveyor.queue_groups as first
      where first.queue = of_queue
        and first.group_id = joining.group_id
        and (first.at is not null or first.seq < joining.seq)
      offset 0
    );
  return found;
end
$$;

-- Lets groups into the round that have jobs waiting, and those that were parked and have room.
create function conveyor.gather_groups(of_queue text, rules jsonb, round bigint, now_micros bigint) returns void
language plpgsql as $$
declare
  most bigint := rules #>> '{group,concurrency}';
begin
  if exists (select from conveyor.queue_groups where queue_groups.queue = of_queue and queue_groups.is_parked) then
    update conveyor.queue_groups as parked
    set is_parked = false, free_at = null
    where parked.queue = of_queue
      and parked.is_parked
      and case
        when parked.free_at is not null then parked.free_at <= now_micros
        else most is null or most > (
          select count(*)
          from conveyor.live
          where live.queue = of_queue and live.group_id = parked.group_id and live.state in ('active', '') and live.is_limited
        )
      end;
  end if;

  insert into conveyor.queue_groups (queue, group_id, at)
  select of_queue, '', round
  where not exists (select from conveyor.queue_groups as known where known.queue = of_queue and known.group_id = '')
    and exists (
      select
      from conveyor.live
      where live.queue = of_queue and live.state = 'waiting' and live.stalled_count = 0 and live.group_id is null
    );
end
$$;

-- Whether any job of a group ('': none) waits, those that stalled before aside.
create function conveyor.group_waits(of_queue text, of_group text) returns boolean
language plpgsql as $$
begin
  if of_group = '' then
    return exists (
      select
      from conveyor.live
      where live.queue = of_queue and live.state = 'waiting' and live.stalled_count = 0 and live.group_id is null
    );
  end if;
  return exists (
    select
    from conveyor.live
    where live.queue = of_queue and live.state = 'waiting' and live.stalled_count = 0 and live.group_id = of_group
  );
end
$$;

-- Locks the next jobs of a queue that has no jobs of groups, and limits that are the same for all of its jobs: all in one
-- statement, and otherwise as lock_guarded does. at is where the jobs without a group stand in the round; null: outside.
create function conveyor.lock_alike(
  session text, number bigint, of_queue text, longest bigint, wanted_name text, stopped text[], now_at timestamptz,
  rules jsonb, round bigint, at bigint, weight bigint
)
returns text[]
language plpgsql as $$
declare
  now_micros bigint := conveyor.micros(now_at);
  limiter jsonb := rules -> 'limiter';
  room bigint := longest;
  used bigint := 0;
  picked text[];
  began_at bigint := greatest(round, coalesce(at, round));
  taken bigint;
begin
  if rules ? 'concurrency' then
    room := least(room, (rules ->> 'concurrency')::bigint - (
      select count(*) from conveyor.live where live.queue = of_queue and live.state in ('active', '') and live.is_limited
    ));
  end if;
  if limiter is not null and conveyor.rate_room(of_queue, 'queue', '', limiter, 1, now_micros) > now_micros then
    room := 0;
  elsif limiter is not null then
    select
      case
        when not limiter ? 'burst' then rates.level
        else (
          conveyor.bucket_level(rates.level, rates.at, (limiter ->> 'max')::bigint, now_micros)
          + (limiter ->> 'per')::bigint - 1
        ) / (limiter ->> 'per')::bigint
      end
    into used
    from conveyor.rates
    where rates.queue = of_queue and rates.scope = 'queue' and rates.key = '';
    room := least(room, coalesce((limiter ->> 'burst')::bigint, (limiter ->> 'max')::bigint) - coalesce(used, 0));
  end if;
  if room <= 0 then
    return '{}';
  end if;

  picked := array(
    select live.id
    from conveyor.live
    where live.queue = of_queue
      and live.state = 'waiting'
      and live.stalled_count = 0
      and live.group_id is null
      and live.name <> all(stopped)
      and (wanted_name is null or live.name = wanted_name)
    order by live.priority, live.order_at, live.order_seq
    limit room
    for no key update skip locked
  );
  taken := cardinality(picked);
  update conveyor.live
  set state = 'active', session_id = session, fetch_number = number, started_at = now_at,
      is_limited = (select guards.is_counted from conveyor.guards where guards.queue = of_queue)
  where live.id = any(picked);
  if taken > 0 and limiter is not null then
    perform conveyor.charge_rate(of_queue, 'queue', '', limiter, taken, now_micros);
    if taken = room and room < longest then
      -- Whoever is left waits for the rate, if anybody is.
      perform conveyor.rate_room(of_queue, 'queue', '', limiter, 1, now_micros);
    end if;
  end if;
  if taken < longest and not conveyor.group_waits(of_queue, '') then
    delete from conveyor.queue_groups where queue_groups.queue = of_queue and queue_groups.group_id = '';
    update conveyor.guards
    set round_at = began_at + taken * (5040000 / weight)
    where guards.queue = of_queue and (taken > 0 or at is not null);
  elsif taken > 0 then
    insert into conveyor.queue_groups (queue, group_id, at)
    select of_queue, '', round
    where at is null;
    update conveyor.queue_groups
    set at = began_at + taken * (5040000 / weight)
    where queue_groups.queue = of_queue and queue_groups.group_id = '';
    update conveyor.guards set round_at = began_at + (taken - 1) * (5040000 / weight) where guards.queue = of_queue;
  end if;
  return picked;
end
$$;

-- Takes those of the groups at these places out of the round of which nothing waits, and returns the last place that
-- one of them had. Who adds to one of them from here on waits for its row; what was added before is seen by looking again.
create function conveyor.leave_round(of_queue text, leaving tid[], out last_at bigint, out left_count bigint)
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
declare
  idle tid[];
begin
  -- With an offset, each group is looked up by itself.
  select array_agg(known.ctid), max(known.at)
  into idle, last_at
  from conveyor.queue_groups as known
  where known.ctid = any(leaving)
    and not case
      when known.group_id = '' then conveyor.group_waits(of_queue, '')
      else exists (
        select
        from conveyor.live
        where live.queue = of_queue
          and live.state = 'waiting'
          and live.stalled_count = 0
          and live.group_id = known.group_id
        offset 0
      )
    end;
  idle := array(select known.ctid from conveyor.queue_groups as known where known.ctid = any(idle) for update skip locked);
  delete from conveyor.queue_groups as known
  where known.ctid = any(idle)
    and not case
      when known.group_id = '' then conveyor.group_waits(of_queue, '')
      else exists (
        select
        from conveyor.live
        where live.queue = of_queue
          and live.state = 'waiting'
          and live.stalled_count = 0
          and live.group_id = known.group_id
        offset 0
      )
    end;
  get diagnostics left_count = row_count;
end
$$;

-- The groups that stand first in the round, up to the first of which a job waits; not those that are excluded. No more
-- than a thousand.
create function conveyor.idle_groups(of_queue text, excluded text[]) returns tid[]
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
set jit = off
as $$
begin
  return (
    select array_agg(turns.row_id)
    from (
      select looked.row_id, bool_or(looked.is_waiting) over (order by looked.at, looked.group_id) as is_behind
      from (
        select
          known.ctid as row_id, known.at, known.group_id,
          case
            when known.group_id = '' then conveyor.group_waits(of_queue, '')
            else exists (
              select
              from conveyor.live
              where live.queue = of_queue
                and live.state = 'waiting'
                and live.stalled_count = 0
                and live.group_id = known.group_id
              offset 0
            )
          end as is_waiting
        from conveyor.queue_groups as known
        where known.queue = of_queue
          and known.at is not null
          and not known.is_parked
          and known.group_id <> all(excluded)
        order by known.at, known.group_id
        limit 1000
      ) as looked
    ) as turns
    where not turns.is_behind
  );
end
$$;

-- Gives groups other places in the round.
create function conveyor.move_groups(moved tid[], places bigint[]) returns void
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
begin
  -- Not joined with what is given: for a table that is known to be empty the planner would read all of it, for ever.
  update conveyor.queue_groups
  set at = places[array_position(moved, queue_groups.ctid)]
  where queue_groups.ctid = any(moved);
end
$$;

-- Locks the next jobs of a queue whose groups take turns, and in which nothing but how many of a group run at once (most;
-- null: any number) may stop one: all in one statement, and otherwise as lock_guarded does. It takes no more than `room`,
-- and perhaps less than there is: it is asked again then. round is where the round stands, before and after.
-- A group has its first turn at its place, and its next ones where that or the round is, whichever is later, and a step
-- further each time; so all turns are known beforehand, and the first of them are the next, in the order of their places.
create function conveyor.lock_in_turns(
  session text, number bigint, of_queue text, room bigint, wanted_name text, excluded text[], stopped text[],
  now_at timestamptz, most bigint, weights jsonb, inout round bigint, out picked text[]
)
language plpgsql
set enable_seqscan = off
set enable_bitmapscan = off
-- What is not looked up group by group are the rows of this statement.
set enable_nestloop = off
set enable_mergejoin = off
set jit = off
as $$
declare
  last_at bigint;
  moved tid[];
  places bigint[];
  spent tid[];
begin
  with turns as materialized (
    select
      both_of.row_id, both_of.group_id, both_of.at, greatest(both_of.at, lock_in_turns.round) as base,
      5040000 / coalesce((weights ->> both_of.group_id)::bigint, 1) as step
    from (
      (
        select known.ctid as row_id, known.group_id, known.at
        from conveyor.queue_groups as known
        where known.queue = of_queue
          and known.at is not null
          and not known.is_parked
          and known.group_id <> all(excluded)
        order by known.at, known.group_id
        limit room
      )
      union all
      -- Those that have not joined yet stand where the round does. Most have their turn before they would be written down.
      (
        select known.ctid, known.group_id, lock_in_turns.round
        from conveyor.queue_groups as known
        where known.queue = of_queue
          and known.at is null
          and known.group_id <> all(excluded)
          and not exists (
            select
            from conveyor.queue_groups as first
            where first.queue = of_queue
              and first.group_id = known.group_id
              and (first.at is not null or first.seq < known.seq)
            offset 0
          )
        order by known.group_id
        limit room
      )
    ) as both_of
    order by both_of.at, both_of.group_id
    limit room
  ),
  -- Where there are so many groups, each has a turn before those behind them have one. Where there are fewer, by then they
  -- have had as many turns as are wanted.
  horizon as materialized (
    select
      case
        when count(*) = room then max(turns.at)
        else max(turns.base) + ceil(room / sum(1.0 / turns.step))::bigint
      end as at,
      case
        when count(*) = room then (array_agg(turns.group_id order by turns.at desc, turns.group_id desc))[1]
      end as group_id
    from turns
  ),
  owed as materialized (
    select
      turns.*, horizon.at as until_at, horizon.group_id as until_group,
      least(
        1 + greatest((horizon.at - turns.base) / turns.step, 0),
        case
          when turns.group_id <> '' and most is not null
          then greatest(most - (
            select count(*)
            from conveyor.live
            where live.queue = of_queue
              and live.group_id = turns.group_id
              and live.state in ('active', '')
              and live.is_limited
          ), 0)
        end
      ) as wanted
    from turns
    cross join horizon
  ),
  heads as (
    select owed.*, first.*
    from owed
    left join lateral (
      select live.id, live.priority, live.order_at, live.order_seq
      from conveyor.live
      where live.queue = of_queue
        and live.state = 'waiting'
        and live.stalled_count = 0
        and live.group_id = owed.group_id
        and live.name <> all(stopped)
        and (wanted_name is null or live.name = wanted_name)
      order by live.priority, live.order_at, live.order_seq
      limit owed.wanted
      for no key update skip locked
    ) as first on true
    where owed.group_id <> ''
    union all
    select owed.*, first.*
    from owed
    left join lateral (
      select live.id, live.priority, live.order_at, live.order_seq
      from conveyor.live
      where live.queue = of_queue
        and live.state = 'waiting'
        and live.stalled_count = 0
        and live.group_id is null
        and live.name <> all(stopped)
        and (wanted_name is null or live.name = wanted_name)
      order by live.priority, live.order_at, live.order_seq
      limit owed.wanted
      for no key update skip locked
    ) as first on true
    where owed.group_id = ''
  ),
  placed as (
    select
      heads.*, count(heads.id) over same_group as found,
      case
        when row_number() over in_order = 1 then heads.at
        else heads.base + (row_number() over in_order - 1) * heads.step
      end as place
    from heads
    window
      same_group as (partition by heads.row_id),
      in_order as (partition by heads.row_id order by heads.priority, heads.order_at, heads.order_seq)
  ),
  numbered as (
    select
      placed.*, is_near,
      row_number() over (order by is_near desc, placed.place, placed.group_id) as turn
    from placed
    cross join lateral (
      select
        placed.id is not null
        and (
          placed.until_group is null
          or (placed.place, placed.group_id) <= (placed.until_at, placed.until_group)
        ) as is_near
    ) as here
  ),
  marked as materialized (
    select numbered.*, numbered.is_near and numbered.turn <= room as is_taken
    from numbered
  ),
  served as (
    select
      marked.row_id, marked.group_id, marked.at, marked.base, marked.step, marked.wanted, marked.found,
      count(*) filter (where marked.is_taken) as number
    from marked
    group by marked.row_id, marked.group_id, marked.at, marked.base, marked.step, marked.wanted, marked.found
  ),
  ends as (
    select array_agg(marked.id) as ids, max(marked.place) as at
    from marked
    where marked.is_taken
  )
  select
    min(ends.ids), min(ends.at),
    array_agg(served.row_id) filter (where served.number > 0),
    array_agg(served.base + served.number * served.step) filter (where served.number > 0),
    array_agg(served.row_id) filter (where is_spent)
  into picked, last_at, moved, places, spent
  from served
  cross join ends
  cross join lateral (
    select
      served.number = served.found
      and served.found < served.wanted
      and case when served.number = 0 then served.at else served.base + served.number * served.step end < ends.at
      as is_spent
  ) as here;

  if picked is not null then
    update conveyor.live
    set state = 'active', session_id = session, fetch_number = number, started_at = now_at,
        is_limited = (select guards.is_counted from conveyor.guards where guards.queue = of_queue)
    where live.id = any(picked);
    round := greatest(round, last_at);
  end if;
  -- Before they move, for what moves is another row; those that leave need not.
  if spent is not null then
    perform conveyor.leave_round(of_queue, spent);
  end if;
  if moved is not null then
    perform conveyor.move_groups(moved, places);
  end if;
end
$$;

-- Locks the next jobs of a queue with limits or groups that may start; returns them. Its row of guards is locked already.
-- Groups take turns by start-time fair queuing: see conveyor.model.rates, which has the cost of a turn, too.
create function conveyor.lock_guarded(
  session text, number bigint, of_queue text, longest bigint, is_lifo boolean, wanted_name text, excluded text[],
  stopped text[], now_at timestamptz
)
returns text[]
language plpgsql as $$
declare
  now_micros bigint := conveyor.micros(now_at);
  rules jsonb;
  began_at bigint;
  round bigint;
  picked text[] := '{}';
  from_at bigint := -1;
  from_group text := '';
  room bigint;
  together record;
  left_behind record;
  turn record;
  head_id text;
  head_name text;
  obstacle record;
begin
  select coalesce(guards.limits, '{}'), guards.round_at
  into rules, began_at
  from conveyor.guards
  where guards.queue = of_queue;
  round := began_at;
  if not is_lifo
    and '' <> all(excluded)
    and not rules ? 'names'
    and not rules #> '{limiter}' ?| array['key', 'weights'] is true
    and not exists (
      select from conveyor.queue_groups where queue_groups.queue = of_queue and queue_groups.group_id <> ''
    )
  then
    return conveyor.lock_alike(
      session, number, of_queue, longest, wanted_name, stopped, now_at, rules, round,
      (select queue_groups.at from conveyor.queue_groups where queue_groups.queue = of_queue limit 1),
      coalesce((rules #> '{group,weights}' ->> '')::bigint, 1)
    );
  end if;
  perform conveyor.gather_groups(of_queue, rules, round, now_micros);

  -- Where no rate and no name may stop one, all are taken at once, or nearly; the loop below does what is left.
  if not is_lifo and not rules ? 'limiter' and not rules ? 'names' and rules #> '{group,limiter}' is null then
    room := longest;
    if rules ? 'concurrency' then
      room := least(room, (rules ->> 'concurrency')::bigint - (
        select count(*) from conveyor.live where live.queue = of_queue and live.state in ('active', '') and live.is_limited
      ));
    end if;
    while cardinality(picked) < room loop
      together := conveyor.lock_in_turns(
        session, number, of_queue, room - cardinality(picked), wanted_name, excluded, stopped, now_at,
        (rules #>> '{group,concurrency}')::bigint, rules #> '{group,weights}', round
      );
      round := together.round;
      if together.picked is not null then
        picked := picked || together.picked;
        continue;
      end if;
      -- Groups of which nothing waits may stand before the others.
      left_behind := conveyor.leave_round(of_queue, conveyor.idle_groups(of_queue, excluded));
      round := greatest(round, left_behind.last_at);
      -- Those that have not joined may stand before others for as long, and then are looked at once more.
      exit when left_behind.left_count = 0 and not conveyor.join_groups(of_queue, began_at);
    end loop;
  end if;
  if cardinality(picked) < longest then
    perform conveyor.join_groups(of_queue, began_at);
  end if;

  while cardinality(picked) < longest loop
    select queue_groups.ctid as row_id, queue_groups.group_id, queue_groups.at
    into turn
    from conveyor.queue_groups
    where queue_groups.queue = of_queue
      and queue_groups.at is not null
      and not queue_groups.is_parked
      and (queue_groups.at, queue_groups.group_id) > (from_at, from_group)
    order by queue_groups.at, queue_groups.group_id
    limit 1;
    exit when not found;

    head_id := null;
    if turn.group_id <> all(excluded) then
      select first.head_id, first.head_name
      into head_id, head_name
      from conveyor.group_head(of_queue, turn.group_id, is_lifo, wanted_name, stopped) as first;
    end if;
    if head_id is null then
      round := greatest(round, (conveyor.leave_round(of_queue, array[turn.row_id])).last_at);
      -- Where somebody adds to it right now, it stays, and is passed like one of which nothing is wanted.
      from_at := turn.at;
      from_group := turn.group_id;
      continue;
    end if;

    obstacle := conveyor.obstacle(of_queue, rules, head_name, turn.group_id, now_micros);
    if obstacle.holds is null then
      perform conveyor.start_guarded(
        head_id, session, number, of_queue, rules, head_name, turn.group_id, now_at
      );
      picked := picked || head_id;
      round := greatest(round, turn.at);
      update conveyor.queue_groups
      set at = round + 5040000 / coalesce((rules #> '{group,weights}' ->> turn.group_id)::bigint, 1)
      where queue_groups.ctid = turn.row_id;
    elsif obstacle.holds = 'queue' then
      exit;
    elsif obstacle.holds = 'name' then
      stopped := stopped || head_name;
    elsif turn.group_id = '' then
      from_at := turn.at;
      from_group := turn.group_id;
    else
      update conveyor.queue_groups
      set is_parked = true, free_at = obstacle.free_at
      where queue_groups.ctid = turn.row_id;
    end if;
  end loop;

  if round <> began_at then
    -- Who has not joined by now does so where the round stood, not where it goes.
    perform conveyor.join_groups(of_queue, began_at);
    update conveyor.guards set round_at = round where guards.queue = of_queue;
  end if;
  return picked;
end
$$;

-- Gives those of the queues a row of guards that had their first job with a group.
create function conveyor.make_guards(of_queues text[]) returns void
language plpgsql as $$
begin
  insert into conveyor.guards (queue)
  select distinct noted.queue
  from conveyor.new_guards as noted
  where noted.queue = any(of_queues)
  order by noted.queue
  on conflict (queue) do nothing;
  delete from conveyor.new_guards
  where new_guards.seq = any(array(
    select noted.seq
    from conveyor.new_guards as noted
    where noted.queue = any(of_queues)
      -- What was noted since is for the next fetch.
      and exists (select from conveyor.guards where guards.queue = noted.queue)
    for update skip locked
  ));
end
$$;

-- Locks the next jobs for a worker session, one want for each place in the arrays. The same number again locks
-- nothing new and returns what it locked before and is still active.
-- from_priorities, from_ats and from_seqs are where a queue's ready jobs are known to begin; null: from the start.
-- exclusions: JSON, for each want the groups to pass over.
create function conveyor.fetch_jobs(
  session text,
  number bigint,
  lock_for interval,
  queues text[],
  limits bigint[],
  lifos boolean[],
  job_names text[],
  suspects boolean[],
  from_priorities integer[] default null,
  from_ats bigint[] default null,
  from_seqs bigint[] default null,
  moment timestamptz default null,
  exclusions text default null
)
returns setof conveyor.fetched_job
language plpgsql
set enable_seqscan = off
set enable_sort = off
-- There is one good plan for each statement. Left to itself the server would make some of them anew for each fetch, for it
-- expects more of a plan for these arguments alone.
set plan_cache_mode = force_generic_plan
set jit = off
as $$
declare
  now_at timestamptz := coalesce(moment, clock_timestamp());
  is_new boolean;
  stopped text[];
  picked text[];
  more text[];
  level integer;
  guarded text[];
begin
  -- Before the session's row: whoever reclaims stalled jobs locks flows, then sessions.
  perform conveyor.lock_flows_of_expired(queues, now_at);
  -- Nearly always it is the next number.
  update conveyor.sessions
  set highest_fetch = number, expires_at = greatest(expires_at, now_at + lock_for)
  where sessions.id = session
    and sessions.highest_fetch = number - 1
    and sessions.missed_fetches = '{}';
  is_new := found;
  if not is_new then
    is_new := conveyor.note_fetch(session, number, now_at + lock_for);
  end if;

  if not is_new then
    return query
      select
        live.id, live.queue, live.name, live.payload, live.options, live.state, live.priority, live.attempts_made,
        live.stalled_count, live.created_at, live.run_at, live.started_at, null::timestamptz, live.session_id,
        live.fetch_number, live.progress, null::bytea, live.error, live.expires_at, live.order_at, live.order_seq,
        null::bigint, null::text
      from conveyor.live
      where live.session_id = session
        and live.fetch_number = number
        and live.state = 'active';
    return;
  end if;

  if exists (select from conveyor.new_guards where new_guards.queue = any(queues)) then
    perform conveyor.make_guards(queues);
  end if;
  -- What had not started in time goes first, for telling its flow waits for others who tell of it, and they may fetch.
  perform conveyor.expire_jobs_of(guards.queue, now_at, 1000)
  from conveyor.guards
  where guards.queue = any(queues)
    and exists (
      select
      from conveyor.live
      where live.queue = guards.queue
        and live.expires_at <= now_at
        and live.state <> 'active'
    );
  -- In one order, so that two fetches do not wait for each other in a circle.
  guarded := array(
    select guards.queue
    from conveyor.guards
    where guards.queue = any(queues)
    order by guards.queue
    for no key update
  );

  for i in 1 .. cardinality(queues) loop
    continue when limits[i] <= 0;
    stopped := array(select paused.name from conveyor.paused where paused.queue = queues[i]);
    continue when '__all__' = any(stopped);

    if exists (
      select
      from conveyor.live
      where live.queue = queues[i]
        and live.expires_at <= now_at
        and live.state <> 'active'
    ) then
      while conveyor.expire_jobs_of(queues[i], now_at, 1000) = 1000 loop
      end loop;
    end if;

    if queues[i] = any(guarded) then
      more := array(select json_array_elements_text(exclusions::json -> (i - 1)));
      if suspects[i] then
        picked := conveyor.lock_guarded_suspect(session, number, queues[i], job_names[i], more, stopped, now_at);
      else
        picked := conveyor.lock_guarded(
          session, number, queues[i], limits[i], lifos[i], job_names[i], more, stopped, now_at
        );
      end if;
      continue when cardinality(picked) = 0;
      return query
        select
          live.id, live.queue, live.name, live.payload, live.options, live.state, live.priority, live.attempts_made,
          live.stalled_count, live.created_at, live.run_at, live.started_at, null::timestamptz, live.session_id,
          live.fetch_number, live.progress, null::bytea, live.error, live.expires_at, live.order_at, live.order_seq,
          null::bigint, null::text
        from conveyor.live
        where live.id = any(picked);
      continue;
    elsif suspects[i] then
      picked := array(
        select live.id
        from conveyor.live
        where live.queue = queues[i]
          and live.state = 'waiting'
          and live.stalled_count > 0
          and live.name <> all(stopped)
          and (job_names[i] is null or live.name = job_names[i])
          and not exists (
            select
            from conveyor.live as held
            where held.session_id = session
              and held.state = 'active'
              and held.stalled_count > 0
          )
        order by live.priority, live.order_at, live.order_seq
        limit 1
        for no key update skip locked
      );
    elsif lifos[i] then
      picked := '{}';
      level := -2147483648;
      while cardinality(picked) < limits[i] loop
        select live.priority
        into level
        from conveyor.live
        where live.queue = queues[i]
          and live.state = 'waiting'
          and live.stalled_count = 0
          and live.group_id is null
          and live.priority >= level
        order by live.queue, live.priority
        limit 1;
        exit when not found;
        picked := picked || array(
          select live.id
          from conveyor.live
          where live.queue = queues[i]
            and live.state = 'waiting'
            and live.stalled_count = 0
            and live.group_id is null
            and live.priority = level
            and live.order_at < 0
            and live.name <> all(stopped)
            and (job_names[i] is null or live.name = job_names[i])
          order by live.order_at, live.order_seq
          limit limits[i] - cardinality(picked)
          for no key update skip locked
        );
        more := array(
          select live.id
          from conveyor.live
          where live.queue = queues[i]
            and live.state = 'waiting'
            and live.stalled_count = 0
            and live.group_id is null
            and live.priority = level
            and live.order_at >= 0
            and live.name <> all(stopped)
            and (job_names[i] is null or live.name = job_names[i])
          order by live.order_at desc, live.order_seq desc
          limit limits[i] - cardinality(picked)
          for no key update skip locked
        );
        picked := picked || more;
        exit when level = 2147483647;
        level := level + 1;
      end loop;
    else
      picked := array(
        select live.id
        from conveyor.live
        where live.queue = queues[i]
          and live.state = 'waiting'
          and live.stalled_count = 0
          and live.group_id is null
          and live.name <> all(stopped)
          and (job_names[i] is null or live.name = job_names[i])
          and (live.priority, live.order_at, live.order_seq) >= (
            coalesce(from_priorities[i], -2147483648),
            coalesce(from_ats[i], -9223372036854775808),
            coalesce(from_seqs[i], -9223372036854775808)
          )
        order by live.priority, live.order_at, live.order_seq
        limit limits[i]
        for no key update skip locked
      );
      -- Where that was not enough, there may be some before the place to start from.
      if cardinality(picked) < limits[i] and from_priorities[i] is not null then
        picked := picked || array(
          select live.id
          from conveyor.live
          where live.queue = queues[i]
            and live.state = 'waiting'
            and live.stalled_count = 0
            and live.group_id is null
            and live.name <> all(stopped)
            and (job_names[i] is null or live.name = job_names[i])
            and (live.priority, live.order_at, live.order_seq) < (from_priorities[i], from_ats[i], from_seqs[i])
          order by live.priority, live.order_at, live.order_seq
          limit limits[i] - cardinality(picked)
          for no key update skip locked
        );
      end if;
    end if;

    continue when cardinality(picked) = 0;
    return query
      update conveyor.live
      set state = 'active', session_id = session, fetch_number = number, started_at = now_at
      where live.id = any(picked)
      returning
        live.id, live.queue, live.name, live.payload, live.options, live.state, live.priority, live.attempts_made,
        live.stalled_count, live.created_at, live.run_at, live.started_at, null::timestamptz, live.session_id,
        live.fetch_number, live.progress, null::bytea, live.error, live.expires_at, live.order_at, live.order_seq,
        null::bigint, null::text;
  end loop;
end
$$;

-- The sums of two objects of numbers.
create function conveyor.add_counts(known jsonb, added jsonb) returns jsonb
language sql
immutable
as $$
  select jsonb_object_agg(summed.word, summed.number)
  from (
    select both_of.word, sum(both_of.number::bigint) as number
    from (
      select * from jsonb_each_text(known)
      union all
      select * from jsonb_each_text(added)
    ) as both_of(word, number)
    group by both_of.word
  ) as summed
$$;

-- Counts runs that ended now, under a session: tallies is an array of [queue, name, an object of numbers].
create function conveyor.count_runs(tallies jsonb, session text, now_at timestamptz) returns void
language sql
as $$
  insert into conveyor.run_counts as known (span, start, queue, name, session_id, counts)
  select 60, date_trunc('minute', now_at, 'UTC'), tally ->> 0, tally ->> 1, session, tally -> 2
  from jsonb_array_elements(tallies) as tally
  order by (tally ->> 0) collate "C", (tally ->> 1) collate "C"
  on conflict (span, start, queue, name, session_id) do update
  set counts = conveyor.add_counts(known.counts, excluded.counts)
$$;

-- The first half of settle_jobs: moves jobs whose runs ended them to history, or removes them; returns how many.
-- The state is compared in a way that no partial index serves: what is left is to look up each id.
create function conveyor.end_jobs(
  ids text[],
  session_ids text[],
  numbers bigint[],
  outcomes text[],
  states text[],
  results bytea[],
  errors bytea[],
  uncounted boolean[],
  removals boolean[],
  keeps interval[],
  now_at timestamptz
)
returns bigint
language plpgsql
set enable_seqscan = off
-- Both sides of each join have as many rows as there are settlements.
set enable_hashjoin = on
set enable_mergejoin = off
set enable_nestloop = off
set jit = off
as $$
declare
  recorded_count bigint;
  removed_count bigint := 0;
begin
  with given as (
    select *
    from unnest(
      end_jobs.ids, session_ids, numbers, outcomes, states, results, errors, uncounted, removals, keeps
    ) as asked(id, session_id, number, outcome, state, result, error, is_uncounted, is_removed, kept_for)
  ),
  gone as (
    delete from conveyor.live
    using given
    where live.id = any(end_jobs.ids)
      and given.id = live.id
      and given.session_id = live.session_id
      and given.number = live.fetch_number
      and given.state in ('completed', 'failed', 'cancelled')
      and given.is_removed is not true
      and live.state in ('active', '')
    returning
      live.id, live.seq, live.queue, live.name, live.priority, live.attempts_made, live.stalled_count,
      live.fetch_number, live.created_at, live.run_at, live.started_at, live.expires_at, live.session_id,
      live.payload, live.options, live.added_payload, live.progress, given.state as new_state, given.result,
      given.error as new_error, given.outcome, given.is_uncounted, given.kept_for
  )
  insert into conveyor.history (
    id, seq, queue, name, state, priority, attempts_made, stalled_count, fetch_number, created_at, run_at,
    started_at, finished_at, expires_at, kept_until, session_id, payload, options, added_payload, progress, result,
    error, attempt, outcome
  )
  select
    gone.id, gone.seq, gone.queue, gone.name, gone.new_state, gone.priority,
    gone.attempts_made + case when gone.is_uncounted then 0 else 1 end,
    gone.stalled_count + case when gone.outcome = 'stalled' then 1 else 0 end, gone.fetch_number,
    gone.created_at, gone.run_at, gone.started_at, now_at, gone.expires_at,
    conveyor.sayable(now_at + gone.kept_for), gone.session_id, gone.payload, gone.options, gone.added_payload,
    gone.progress, gone.result, gone.new_error, gone.attempts_made + 1, gone.outcome
  from gone;
  get diagnostics recorded_count = row_count;

  if true = any(removals) then
    with given as (
      select *
      from unnest(end_jobs.ids, session_ids, numbers, outcomes, states, results, errors, removals)
        as asked(id, session_id, number, outcome, state, result, error, is_removed)
    ),
    gone as (
      delete from conveyor.live
      using given
      where live.id = any(end_jobs.ids)
        and given.id = live.id
        and given.session_id = live.session_id
        and given.number = live.fetch_number
        and given.state in ('completed', 'failed', 'cancelled')
        and given.is_removed
        and live.state in ('active', '')
      returning
        live.id, live.queue, live.name, live.session_id, live.fetch_number, given.outcome, given.state as new_state,
        given.result, given.error as new_error
    ),
    told as (
      insert into conveyor.events (kind, queue, job_id, name, data)
      select news.kind, gone.queue, gone.id, gone.name, news.data
      from gone
      cross join lateral (
        values
          (1, gone.new_state, case when gone.new_state = 'completed' then gone.result else gone.new_error end),
          (2, 'removed', null)
      ) as news(place, kind, data)
      where exists (select from conveyor.watchers where watchers.queue in ('', gone.queue))
      order by gone.id, news.place
    ),
    forgotten as (
      insert into conveyor.removed (
        job_id, session_id, fetch_number, outcome, state, finished_at, result, error
      )
      select
        gone.id, gone.session_id, gone.fetch_number, gone.outcome, gone.new_state, now_at, gone.result, gone.new_error
      from gone
      returning removed.job_id
    ),
    cleared_attempts as (
      delete from conveyor.attempts where attempts.job_id = any(array(select forgotten.job_id from forgotten))
    ),
    cleared_logs as (
      delete from conveyor.logs where logs.job_id = any(array(select forgotten.job_id from forgotten))
    ),
    cleared_keys as (
      delete from conveyor.deduplication_keys as taken
      where taken.ctid = any(array(
        select one.ctid
        from conveyor.deduplication_keys as one
        where one.job_id = any(array(select forgotten.job_id from forgotten))
          and one.until is null
        -- Whoever locked one waits for a job, maybe this one, and looks anew at who has the key.
        for update skip locked
      ))
    )
    select count(*) into removed_count from forgotten;

    delete from conveyor.removed where removed.seq <= (select max(seq) from conveyor.removed) - 10000;
  end if;
  return recorded_count + removed_count;
end
$$;

-- The second half of settle_jobs: makes jobs wait again that their runs did not end; returns how many. A discarded job
-- that asks for another attempt is left as it is: who called fails it. One that stalled waits at its old place.
create function conveyor.put_off_jobs(
  ids text[],
  session_ids text[],
  numbers bigint[],
  outcomes text[],
  states text[],
  errors bytea[],
  delays interval[],
  uncounted boolean[],
  now_at timestamptz
)
returns bigint
language plpgsql
set enable_seqscan = off
set enable_hashjoin = on
set enable_mergejoin = off
set enable_nestloop = off
set jit = off
as $$
declare
  again bigint;
begin
  with given as (
    select *
    from unnest(put_off_jobs.ids, session_ids, numbers, outcomes, states, errors, delays, uncounted)
      as asked(id, session_id, number, outcome, state, error, delay, is_uncounted)
  ),
  held as (
    select
      live.id, live.attempts_made, live.started_at, live.session_id, live.fetch_number,
      given.outcome, given.state, given.error, given.is_uncounted,
      conveyor.sayable(now_at + coalesce(given.delay, interval '0')) as due_at
    from given
    join conveyor.live on live.id = any(put_off_jobs.ids)
      and live.id = given.id
      and live.session_id = given.session_id
      and live.fetch_number = given.number
    where given.state in ('waiting', 'delayed', 'waiting_children')
      and live.state in ('active', '')
      and (given.is_uncounted or not live.is_discarded)
    order by live.id
    for no key update of live
  ),
  kept as (
    insert into conveyor.attempts (
      job_id, number, session_id, fetch_number, started_at, ended_at, outcome, error
    )
    select
      held.id, held.attempts_made + 1, held.session_id, held.fetch_number, coalesce(held.started_at, now_at),
      now_at, held.outcome, held.error
    from held
    returning attempts.seq, attempts.job_id
  ),
  -- Every hundredth looks whether its job has more than the thousand that it may keep.
  trimmed as (
    delete from conveyor.attempts
    where attempts.seq = any(array(
      select surplus.seq
      from kept
      cross join lateral (
        select old.seq
        from conveyor.attempts as old
        -- One job, said so that no other index than that of the jobs' attempts has them in this order.
        where old.job_id between kept.job_id and kept.job_id
        order by old.job_id desc, old.seq desc
        offset 1000
      ) as surplus
      where kept.seq % 100 = 0
    ))
  ),
  waiting as (
    update conveyor.live
    set state = held.state,
        run_at = case when held.outcome = 'stalled' then live.run_at else held.due_at end,
        order_at = case
          when held.outcome = 'stalled' then live.order_at
          when live.order_seq < 0 then -1 - conveyor.micros(held.due_at)
          else conveyor.micros(held.due_at)
        end,
        attempts_made = live.attempts_made + case when held.is_uncounted then 0 else 1 end,
        stalled_count = live.stalled_count + case when held.outcome = 'stalled' then 1 else 0 end,
        error = held.error
    from held
    where live.id = any(put_off_jobs.ids)
      and live.id = held.id
    returning 1
  )
  select count(*) into again from waiting;
  return again;
end
$$;

-- Records how runs ended, each given by its place in the arrays, where its token holds the job. No job is given twice.
-- Returns those that were refused: the same settlement again, after it was applied, is not. Where flows has the flows that
-- jobs belong to, it also returns the hints for queues of parents that went on, as words, at the place 0.
-- tallies is what all of them together add to the metrics. Where only some were applied, so that others have to count,
-- nothing is, and the SQLSTATE is CV002.
create function conveyor.settle_jobs(
  ids text[],
  session_ids text[],
  numbers bigint[],
  outcomes text[],
  states text[],
  results bytea[] default null,
  errors bytea[] default null,
  delays interval[] default null,
  uncounted boolean[] default null,
  removals boolean[] default null,
  keeps interval[] default null,
  moment timestamptz default null,
  flows text[] default null,
  tallies text default null
)
returns table (refused bigint, reason text)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
declare
  now_at timestamptz := coalesce(moment, clock_timestamp());
  applied bigint;
begin
  if settle_jobs.flows is not null then
    perform conveyor.lock_flows(settle_jobs.flows);
  end if;
  applied := conveyor.end_jobs(
    ids, session_ids, numbers, outcomes, states, results, errors, uncounted, removals, keeps, now_at
  );
  if applied < cardinality(ids) then
    applied := applied + conveyor.put_off_jobs(
      ids, session_ids, numbers, outcomes, states, errors, delays, uncounted, now_at
    );
  end if;

  if applied > 0 and applied < cardinality(settle_jobs.ids) and settle_jobs.tallies is not null then
    raise exception 'only some of these runs hold their jobs' using errcode = 'CV002';
  end if;

  if applied < cardinality(settle_jobs.ids) then
    -- With an offset, each is looked up by itself; without, the server may choose to read all of a table for it.
    return query
      with settled as materialized (
        select * from conveyor.find_settled(settle_jobs.ids)
      )
      select
        asked.place,
        case
          when exists (select from conveyor.live where live.id = asked.id offset 0)
            or exists (select from settled where settled.settled_id = asked.id)
          then 'lock_lost'
          else 'not_found'
        end
      from unnest(settle_jobs.ids, session_ids, numbers, outcomes) with ordinality
        as asked(id, session_id, number, outcome, place)
      where not exists (
        select
        from settled
        where settled.settled_id = asked.id
          and settled.of_session = asked.session_id
          and settled.of_fetch = asked.number
          and settled.ended_as = asked.outcome
      )
      and not exists (
        select
        from conveyor.attempts
        where attempts.job_id = asked.id
          and attempts.session_id = asked.session_id
          and attempts.fetch_number = asked.number
          and attempts.outcome = asked.outcome
        offset 0
      )
      and not exists (
        select
        from conveyor.removed
        where removed.job_id = asked.id
          and removed.session_id = asked.session_id
          and removed.fetch_number = asked.number
          and removed.outcome = asked.outcome
        offset 0
      );
  end if;

  if settle_jobs.flows is not null then
    return query
      select 0::bigint, format('%s %s', told.kind, told.of_queue)
      from conveyor.tell_of_runs(
        ids, session_ids, numbers, outcomes, states, results, errors, settle_jobs.flows, now_at
      ) as told;
  end if;

  -- Last of all: whoever waits for the row of a session's minute then holds no job that is waited for.
  if applied > 0 and settle_jobs.tallies is not null then
    perform conveyor.count_runs(settle_jobs.tallies::jsonb, settle_jobs.session_ids[1], now_at);
  end if;
end
$$;

-- Records how runs ended, then locks the next jobs, in one step: the settlements that were refused come first.
create function conveyor.settle_and_fetch(
  ids text[],
  session_ids text[],
  numbers bigint[],
  outcomes text[],
  states text[],
  results bytea[],
  errors bytea[],
  delays interval[],
  uncounted boolean[],
  removals boolean[],
  keeps interval[],
  moment timestamptz,
  session text,
  number bigint,
  lock_for interval,
  queues text[],
  limits bigint[],
  lifos boolean[],
  job_names text[],
  suspects boolean[],
  from_priorities integer[] default null,
  from_ats bigint[] default null,
  from_seqs bigint[] default null,
  flows text[] default null,
  exclusions text default null,
  tallies text default null
)
returns setof conveyor.fetched_job
language plpgsql as $$
declare
  lost record;
  answer conveyor.fetched_job;
  -- One time for both halves: what the fetch finds expired, the flows' locks were taken for.
  now_at timestamptz := coalesce(moment, clock_timestamp());
begin
  -- Before the settlements lock some flows: two that held some and wanted all would wait for each other.
  perform conveyor.lock_flows_of_expired(queues, now_at);
  for lost in
    select *
    from conveyor.settle_jobs(
      ids, session_ids, numbers, outcomes, states, results, errors, delays, uncounted, removals, keeps, now_at,
      settle_and_fetch.flows, settle_and_fetch.tallies
    )
  loop
    answer := null;
    answer.refused := lost.refused;
    answer.reason := lost.reason;
    return next answer;
  end loop;
  return query
    select *
    from conveyor.fetch_jobs(
      session, number, lock_for, queues, limits, lifos, job_names, suspects, from_priorities, from_ats, from_seqs,
      now_at, exclusions
    );
end
$$;

-- The jobs that sessions hold, the oldest first.
create function conveyor.held_jobs(session_ids text[])
returns table (held_id text, of_session text, of_fetch bigint)
language plpgsql
stable
set enable_seqscan = off
set jit = off
as $$
begin
  return query
    select live.id, live.session_id, live.fetch_number
    from conveyor.live
    where live.session_id = any(session_ids)
      and live.state = 'active'
    order by live.seq;
end
$$;

-- Lets jobs wait again whose locks hold; returns them.
create function conveyor.release_locks(ids text[], session_ids text[], numbers bigint[])
returns table (released_id text, of_session text, of_fetch bigint, of_queue text)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = on
set enable_mergejoin = off
set enable_nestloop = off
set jit = off
as $$
begin
  return query
    update conveyor.live
    set state = 'waiting'
    from unnest(release_locks.ids, session_ids, numbers) as held(id, session_id, number)
    where live.id = any(release_locks.ids)
      and live.id = held.id
      and live.session_id = held.session_id
      and live.fetch_number = held.number
      and live.state in ('active', '')
    returning live.id, live.session_id, live.fetch_number, live.queue;
end
$$;

-- Makes delayed jobs wait whose time has come; returns how many of each queue.
create function conveyor.promote_delayed_jobs(queues text[], longest bigint, now_at timestamptz)
returns table (of_queue text, promoted_count bigint)
language plpgsql
set enable_seqscan = off
set enable_sort = off
set jit = off
as $$
begin
  return query
    with promoted as (
      update conveyor.live
      set state = 'waiting'
      where live.id = any(array(
        select due.id
        from unnest(promote_delayed_jobs.queues) as asked(queue)
        cross join lateral (
          select live.id
          from conveyor.live
          where live.queue = asked.queue
            and live.state = 'delayed'
            and live.run_at <= now_at
          order by live.run_at
          limit longest
          for no key update skip locked
        ) as due
        limit longest
      ))
      returning live.queue
    )
    select promoted.queue, count(*)
    from promoted
    group by promoted.queue;
end
$$;

-- Stores the progress of runs whose lock holds; returns the places of the others, and why.
create function conveyor.set_progress(ids text[], session_ids text[], numbers bigint[], reports bytea[])
returns table (refused bigint, reason text)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = on
set enable_mergejoin = off
set enable_nestloop = off
set jit = off
as $$
begin
  return query
    with given as (
      select distinct on (asked.id, asked.session_id, asked.number) *
      from unnest(set_progress.ids, session_ids, numbers, reports) with ordinality
        as asked(id, session_id, number, report, place)
      order by asked.id, asked.session_id, asked.number, asked.place desc
    ),
    told as (
      update conveyor.live
      set progress = given.report
      from given
      where live.id = any(set_progress.ids)
        and live.id = given.id
        and live.session_id = given.session_id
        and live.fetch_number = given.number
        and live.state in ('active', '')
      returning live.id, live.session_id, live.fetch_number
    )
    select
      asked.place,
      case
        when exists (select from conveyor.live where live.id = asked.id offset 0)
          or exists (select from conveyor.find_settled(array[asked.id]))
        then 'lock_lost'
        else 'not_found'
      end
    from unnest(set_progress.ids, session_ids, numbers) with ordinality as asked(id, session_id, number, place)
    where not exists (
      select
      from told
      where told.id = asked.id
        and told.session_id = asked.session_id
        and told.fetch_number = asked.number
    )
    order by asked.place;
end
$$;

-- Appends lines, those with a lock only where it holds; returns the places of the others, and why. fits: whether the
-- lock is of that job.
create function conveyor.append_logs(
  ids text[], session_ids text[], numbers bigint[], fits boolean[], messages text[], now_at timestamptz
)
returns table (refused bigint, reason text)
language plpgsql
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
set jit = off
as $$
begin
  return query
    with asked as (
      select
        given.*, coalesce(live.id, history.id) as known_id, live.state, live.attempts_made,
        live.session_id as run_session, live.fetch_number as run_fetch,
        case
          when given.session_id is null then live.id is not null or history.id is not null
          else given.is_fitting and live.session_id = given.session_id and live.fetch_number = given.number
            and live.state = 'active'
        end is true as is_written
      from unnest(append_logs.ids, session_ids, numbers, append_logs.fits, messages) with ordinality
        as given(id, session_id, number, is_fitting, message, place)
      left join lateral (
        select * from conveyor.live as job where job.id = given.id offset 0
      ) as live on true
      left join lateral (
        select job.settled_id as id
        from conveyor.find_settled(array[given.id]) as job
        where live.id is null
        limit 1
      ) as history on true
    ),
    written as (
      insert into conveyor.logs (job_id, message, at, attempt, session_id, fetch_number)
      select
        asked.id, asked.message, append_logs.now_at,
        case when asked.state = 'active' then asked.attempts_made + 1 end,
        case when asked.state = 'active' then asked.run_session end,
        case when asked.state = 'active' then asked.run_fetch end
      from asked
      where asked.is_written
      order by asked.place
      returning logs.seq, logs.job_id
    ),
    -- Every hundredth looks whether its job has more than the ten thousand that it may keep.
    trimmed as (
      delete from conveyor.logs
      where logs.seq = any(array(
        select surplus.seq
        from written
        cross join lateral (
          select old.seq
          from conveyor.logs as old
          -- One job, said so that no other index than that of the jobs' lines has them in this order.
          where old.job_id between written.job_id and written.job_id
          order by old.job_id desc, old.seq desc
          offset 10000
        ) as surplus
        where written.seq % 100 = 0
      ))
    )
    select asked.place, case when asked.known_id is null then 'not_found' else 'lock_lost' end
    from asked
    where not asked.is_written
    order by asked.place;
end
$$;

-- When the next delayed job of these queues is due.
create function conveyor.next_delayed(queues text[]) returns timestamptz
language plpgsql
set enable_seqscan = off
set jit = off
as $$
begin
  return (
    select min(soonest.run_at)
    from unnest(next_delayed.queues) as asked(queue)
    cross join lateral (
      select live.run_at
      from conveyor.live
      where live.queue = asked.queue
        and live.state = 'delayed'
      order by live.run_at
      limit 1
    ) as soonest
  );
end
$$;

-- Those of the queues that have a waiting job that stalled before, and whose name is not paused.
create function conveyor.suspect_queues(queues text[]) returns setof text
language plpgsql
set enable_seqscan = off
set jit = off
as $$
begin
  return query
    select asked.queue
    from unnest(suspect_queues.queues) as asked(queue)
    where exists (
      select
      from conveyor.live
      where live.queue = asked.queue
        and live.state = 'waiting'
        and live.stalled_count > 0
        and not exists (
          select from conveyor.paused where paused.queue = asked.queue and paused.name in ('__all__', live.name)
        )
      -- Each queue by itself.
      offset 0
    );
end
$$;

-- Notes the group of a job whose options were changed, and makes its queue known as one with groups. Whoever inserts jobs
-- does that himself, for all of them at once: see admit_groups.
create function conveyor.name_group() returns trigger
language plpgsql as $$
begin
  new.group_id := conveyor.group_of(new.options);
  if new.group_id is not null
    and not exists (select from conveyor.guards where guards.queue = new.queue)
    and not exists (select from conveyor.new_guards as noted where noted.queue = new.queue)
  then
    insert into conveyor.new_guards (queue) values (new.queue);
    perform pg_notify('conveyor.hints', format('- [["changed", %s, ""]]', to_json(new.queue)));
  end if;
  return new;
end
$$;

create trigger live_renamed before update of options on conveyor.live
for each row when (old.group_id is not null or position('"group"'::bytea in new.options) > 0)
execute function conveyor.name_group();

-- Lets a group take its turns of which a job waits again.
create function conveyor.join_round() returns trigger
language plpgsql as $$
begin
  -- A stricter transaction could not lock a row that was changed since it began.
  if current_setting('transaction_isolation') = 'read committed' then
    perform
    from conveyor.queue_groups as known
    where known.queue = new.queue
      and known.group_id = new.group_id
    for key share;
    if found then
      return null;
    end if;
  end if;
  insert into conveyor.queue_groups (queue, group_id) values (new.queue, new.group_id);
  return null;
end
$$;

create trigger live_group_waits after update of state, options on conveyor.live
for each row when (new.group_id is not null and new.state = 'waiting')
execute function conveyor.join_round();

-- Lets the rows that a statement changes be told to watchers, where there are any: asked once for each statement.
create function conveyor.look_for_watchers() returns trigger
language plpgsql as $$
begin
  if exists (select from conveyor.watchers) then
    perform set_config('conveyor.is_watched', 'yes', true);
  end if;
  return null;
end
$$;

-- Writes down what happened to a job, if somebody watches its queue.
create function conveyor.write_event(new_kind text, of_queue text, of_id text, of_name text, new_data bytea) returns void
language sql as $$
  insert into conveyor.events (kind, queue, job_id, name, data)
  select new_kind, of_queue, of_id, of_name, new_data
  where exists (select from conveyor.watchers where watchers.queue in ('', of_queue));
$$;

-- What it is called that a live job comes to another state, as event_kind of the model calls it.
create function conveyor.write_move() returns trigger
language plpgsql as $$
declare
  moved text := case
    when new.state = 'active' then 'active'
    when old.state = 'active' and new.stalled_count > old.stalled_count then 'stalled'
    when old.state = 'active' and new.attempts_made > old.attempts_made then 'retried'
    when old.state = 'active' and new.state = 'waiting' then 'released'
    when old.state = 'active' then new.state
    when old.state = 'waiting_children' then 'children_done'
    when old.state = 'delayed' and new.state = 'waiting' then 'promoted'
    when old.state = 'waiting' and new.state = 'delayed' then 'delayed'
  end;
begin
  if moved is not null then
    perform conveyor.write_event(
      moved, new.queue, new.id, new.name, case when moved = 'retried' then new.error end
    );
  end if;
  return null;
end
$$;

create function conveyor.write_progress() returns trigger
language plpgsql as $$
begin
  perform conveyor.write_event('progress', new.queue, new.id, new.name, new.progress);
  return null;
end
$$;

create function conveyor.write_end() returns trigger
language plpgsql as $$
begin
  perform conveyor.write_event(
    new.state, new.queue, new.id, new.name, case when new.state = 'completed' then new.result else new.error end
  );
  return null;
end
$$;

create trigger live_watched before update of state, progress on conveyor.live
for each statement execute function conveyor.look_for_watchers();

create trigger live_moved after update of state on conveyor.live
for each row when (old.state <> new.state and current_setting('conveyor.is_watched', true) = 'yes')
execute function conveyor.write_move();

create trigger live_reported after update of progress on conveyor.live
for each row when (new.progress is not null and current_setting('conveyor.is_watched', true) = 'yes')
execute function conveyor.write_progress();

create trigger history_watched before insert on conveyor.history
for each statement execute function conveyor.look_for_watchers();

create trigger history_written after insert on conveyor.history
for each row when (current_setting('conveyor.is_watched', true) = 'yes')
execute function conveyor.write_end();

-- Forgets watchers whose time is over, and events that are too old or too many, or all where nobody watches; returns how
-- many events went. One at a time does it.
create function conveyor.prune_events(kept_for interval, most bigint, now_at timestamptz) returns bigint
language plpgsql as $$
declare
  is_watched boolean;
  -- Whatever an older transaction wrote was committed so long ago.
  horizon xid8 := '0';
  counted bigint;
begin
  if not pg_try_advisory_xact_lock(hashtext('conveyor.prune_events')) then
    return 0;
  end if;
  delete from conveyor.watchers where watchers.until <= now_at;
  is_watched := exists (select from conveyor.watchers);
  if is_watched then
    insert into conveyor.event_marks as mark (at, committed)
    values (now_at, pg_current_snapshot())
    on conflict (at) do update set committed = excluded.committed;
    select coalesce(max(pg_snapshot_xmin(mark.committed)::text::numeric), 0)::text::xid8
    into horizon
    from conveyor.event_marks as mark
    where mark.at <= now_at - kept_for;
    delete from conveyor.event_marks as mark where mark.at <= now_at - kept_for;
  else
    delete from conveyor.event_marks;
  end if;

  with gone as (
    delete from conveyor.events
    where not is_watched
      or events.written_by < horizon
      or events.seq <= (select max(last.seq) from conveyor.events as last) - most
    returning events.seq, events.written_by
  ),
  kept as (
    insert into conveyor.events_forgotten as known (seq, written_by)
    select max(gone.seq), max(gone.written_by::text::numeric)::text::xid8
    from gone
    having count(*) > 0
    on conflict (is_only) do update
    set seq = greatest(known.seq, excluded.seq),
        written_by = case
          when known.written_by > excluded.written_by then known.written_by
          else excluded.written_by
        end
  )
  select count(*) into counted from gone;
  return counted;
end
$$;

-- A new id, as conveyor makes them: a UUID of version 7.
create function conveyor.new_id() returns text
language sql volatile
as $$
  select encode(
    set_bit(
      set_bit(
        overlay(
          uuid_send(gen_random_uuid())
          placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
          from 1 for 6
        ),
        52, 1
      ),
      53, 1
    ),
    'hex'
  )::uuid::text
$$;

-- Refuses a value that whoever adds by SQL gave.
create function conveyor.refuse(argument text, must text, given text) returns void
language plpgsql as $$
begin
  raise exception '% must %, got %', argument, must, coalesce(quote_literal(given), 'null')
  using errcode = 'invalid_parameter_value';
end
$$;

-- Refuses what is no name of a queue, a job or a group, and no id, as conveyor.model.checks does.
create function conveyor.check_word(argument text, word text) returns void
language plpgsql as $$
begin
  if word is null or char_length(word) not between 1 and 255 or word ~ '[\x01-\x1f\x7f]' then
    perform conveyor.refuse(argument, 'be 1 to 255 characters without control characters', word);
  end if;
end
$$;

-- For clients in any language, and for triggers: adds a job of one name for each of the payloads, which are JSON objects of
-- the handler's arguments, in the caller's transaction. Returns their ids, in order; where another job holds the
-- deduplication key, that one's. What it refuses has the SQLSTATE 22023, an id that another job has 23505.
-- It runs with its owner's rights: a role that may call it need not see the jobs.
create function conveyor.add_many(
  queue text,
  name text,
  payloads jsonb[],
  priority integer default 0,
  attempts integer default 1,
  delay interval default null,
  run_at timestamptz default null,
  expires interval default null,
  group_id text default null,
  tags text[] default null,
  version integer default 1,
  job_ids text[] default null,
  deduplication_keys text[] default null,
  deduplication_ttl interval default null
)
returns setof text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  number integer := cardinality(payloads);
  ids text[] := coalesce(job_ids, array(select conveyor.new_id() from generate_series(1, cardinality(payloads))));
  bodies bytea[];
  chosen jsonb := '{}';
  same record;
  added record;
begin
  perform conveyor.check_word('queue', queue);
  perform conveyor.check_word('name', name);
  if priority is null then
    perform conveyor.refuse('priority', 'be a whole number', null);
  elsif attempts is null or attempts < 1 then
    perform conveyor.refuse('attempts', 'be at least 1', attempts::text);
  elsif version is null or version < 1 then
    perform conveyor.refuse('version', 'be at least 1', version::text);
  elsif delay < interval '0' then
    perform conveyor.refuse('delay', 'not be negative', delay::text);
  elsif delay is not null and run_at is not null then
    perform conveyor.refuse('run_at', 'be null where there is a delay', run_at::text);
  elsif expires <= greatest(interval '0', delay) then
    perform conveyor.refuse('expires', 'be longer than zero and than delay', expires::text);
  elsif deduplication_ttl <= interval '0' then
    perform conveyor.refuse('deduplication_ttl', 'be longer than zero', deduplication_ttl::text);
  elsif payloads is null then
    perform conveyor.refuse('payloads', 'be an array of JSON objects', null);
  elsif cardinality(ids) <> number then
    perform conveyor.refuse('job_ids', 'have one id for each payload', job_ids::text);
  elsif cardinality(deduplication_keys) <> number then
    perform conveyor.refuse('deduplication_keys', 'have one key, or null, for each payload', deduplication_keys::text);
  elsif array_position(tags, null) is not null then
    perform conveyor.refuse('tags', 'hold no null', tags::text);
  end if;
  perform conveyor.check_word('job_id', given.id) from unnest(ids) as given(id);
  perform conveyor.check_word('deduplication_key', given.key)
  from unnest(deduplication_keys) as given(key)
  where given.key is not null;
  perform conveyor.refuse('payload', 'be a JSON object of the handler''s arguments', given.payload::text)
  from unnest(payloads) as given(payload)
  where jsonb_typeof(given.payload) is distinct from 'object';
  if number = 0 then
    return;
  end if;

  -- As conveyor.codec writes them: what differs from the defaults.
  if priority <> 0 then
    chosen := chosen || jsonb_build_object('priority', priority);
  end if;
  if attempts <> 1 then
    chosen := chosen || jsonb_build_object('attempts', attempts);
  end if;
  if version <> 1 then
    chosen := chosen || jsonb_build_object('version', version);
  end if;
  if cardinality(tags) > 0 then
    chosen := chosen || jsonb_build_object('tags', tags);
  end if;
  if group_id is not null then
    perform conveyor.check_word('group_id', group_id);
    chosen := chosen || jsonb_build_object('group', jsonb_build_object('id', group_id));
  end if;
  bodies := array(
    select convert_to(given.payload::text, 'UTF8')
    from unnest(payloads) with ordinality as given(payload, place)
    order by given.place
  );
  -- What is the same for all of them, once for each.
  select
    array_fill(queue, array[number]) as queues,
    array_fill(name, array[number]) as names,
    case when chosen <> '{}' then array_fill(convert_to(chosen::text, 'UTF8'), array[number]) end as options,
    array_fill(priority, array[number]) as priorities,
    array_fill(delay, array[number]) as delays,
    array_fill(run_at, array[number]) as run_ats,
    array_fill(expires, array[number]) as expire_ins,
    case when job_ids is null then clock_timestamp() - interval '1 day' else '-infinity' end as since
  into same;

  if deduplication_keys is null then
    select result.duplicates
    into added
    from conveyor.add_jobs(
      ids, same.queues, same.names, bodies, same.options, same.priorities, null, same.delays, same.run_ats,
      same.expire_ins, null, same.since, null, true
    ) as result;
  else
    select result.duplicates, result.met, result.met_ids
    into added
    from conveyor.add_deduplicated_jobs(
      ids, same.queues, same.names, bodies, same.options, same.priorities, null, same.delays, same.run_ats,
      same.expire_ins, null, same.since, null, true,
      deduplication_keys,
      array_fill(deduplication_ttl, array[number]),
      array_fill('keep'::text, array[number]),
      array_fill('waiting,waiting_children,delayed,active'::text, array[number]),
      array(
        select substring(sha256(convert_to(concat_ws(e'\x01', given.id, queue, name, given.body::text), 'UTF8')) for 16)
        from unnest(ids, bodies) with ordinality as given(id, body, place)
        order by given.place
      )
    ) as result;
    for i in 1 .. coalesce(cardinality(added.met), 0) loop
      ids[added.met[i]] := added.met_ids[i];
    end loop;
  end if;
  if cardinality(added.duplicates) > 0 then
    raise exception 'another job has the id %', quote_literal(ids[added.duplicates[1]])
    using errcode = 'unique_violation', hint = 'The same job may be added again; another needs an id of its own.';
  end if;
  return query select unnest(ids);
end
$$;

-- Adds one job, as add_many adds several.
create function conveyor.add_job(
  queue text,
  name text,
  payload jsonb default '{}',
  priority integer default 0,
  attempts integer default 1,
  delay interval default null,
  run_at timestamptz default null,
  expires interval default null,
  group_id text default null,
  tags text[] default null,
  version integer default 1,
  job_id text default null,
  deduplication_key text default null,
  deduplication_ttl interval default null
)
returns text
language plpgsql
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return conveyor.add_many(
    queue, name, array[payload], priority, attempts, delay, run_at, expires, group_id, tags, version,
    case when job_id is not null then array[job_id] end,
    case when deduplication_key is not null then array[deduplication_key] end,
    deduplication_ttl
  );
end
$$;

-- Whoever may look at the schema may not add for that.
revoke execute on function conveyor.add_many, conveyor.add_job from public;

select conveyor.make_partitions(clock_timestamp());
