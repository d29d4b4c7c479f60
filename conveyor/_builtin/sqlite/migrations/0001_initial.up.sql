-- Live and settled jobs apart, so that fetching never walks over what is done.
-- Times are whole microseconds since 1970 (UTC), by the store's clock.

-- order_at and order_seq place a waiting job within its priority. For jobs with the option lifo both are
-- mirrored below zero (-1 - value), so one ascending index gives those first, newest first, then the others.
create table jobs (
  seq integer primary key,
  id text not null unique,
  queue text not null,
  name text not null,
  state text not null,
  priority integer not null,
  order_at integer not null,
  order_seq integer not null,
  payload blob not null,
  options blob,
  attempts_made integer not null default 0,
  stalled_count integer not null default 0,
  created_at integer not null,
  run_at integer not null,
  started_at integer,
  session_id text,
  fetch_number integer,
  progress blob,
  error blob,
  added_payload blob
);

create index jobs_ready on jobs (queue, priority, order_at, order_seq) where state = 'waiting';

create index jobs_delayed on jobs (queue, run_at) where state = 'delayed';

create index jobs_active on jobs (session_id, fetch_number) where state = 'active';

create index jobs_waiting_children on jobs (queue) where state = 'waiting_children';

-- attempt and outcome tell of the run that settled the job; null where no run did.
-- added_payload is kept where a rerun replaced the payload, so that the same add again is still recognised.
create table history (
  id text not null primary key,
  queue text not null,
  name text not null,
  state text not null,
  priority integer not null,
  payload blob not null,
  options blob,
  attempts_made integer not null,
  stalled_count integer not null,
  created_at integer not null,
  run_at integer not null,
  started_at integer,
  finished_at integer not null,
  session_id text,
  fetch_number integer,
  progress blob,
  result blob,
  error blob,
  added_payload blob,
  attempt integer,
  outcome text
) without rowid;

create index history_finished on history (queue, state, finished_at);

-- Every job there is, live or settled.
create view job_records as
select id, queue, name, payload, options, state, priority, attempts_made, stalled_count, created_at, run_at,
       started_at, null as finished_at, session_id, fetch_number, progress, null as result, error
from jobs
union all
select id, queue, name, payload, options, state, priority, attempts_made, stalled_count, created_at, run_at,
       started_at, finished_at, session_id, fetch_number, progress, result, error
from history;

-- Runs that ended, except the one that settled its job: that one stands in history.
create table attempts (
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

create index attempts_job on attempts (job_id);

create table logs (
  seq integer primary key,
  job_id text not null,
  message text not null,
  at integer not null,
  attempt integer
);

create index logs_job on logs (job_id);

-- highest_fetch and recent_fetches (a bit for it and for each of the numbers below) tell which fetches took place.
create table sessions (
  id text not null primary key,
  hostname text not null,
  pid integer not null,
  backend text not null,
  queue_names text not null,
  opened_at integer not null,
  expires_at integer not null,
  highest_fetch integer not null default 0,
  recent_fetches blob not null default x''
) without rowid;

-- Every queue there ever was: it outlives its jobs.
create table queues (
  name text not null primary key
) without rowid;

create table paused (
  queue text not null,
  name text not null,
  primary key (queue, name)
) without rowid;

-- Runs whose settlement removed their job, for a while: so that their settlement, or their add, again is recognised.
create table removed (
  seq integer primary key,
  job_id text not null,
  queue text not null,
  name text not null,
  payload blob not null,
  session_id text not null,
  fetch_number integer not null,
  outcome text not null
);

create index removed_job on removed (job_id);
