-- Deletes jobs, with their logs and history; returns how many.
-- parameters: 1 job ids, 2 and 3 between which times those ended that are settled; null: none is
-- index: primary key of live, history_id of those days, logs_job, attempts_job, deduplication_keys_job
with gone as (
  delete from conveyor.live where id = any($1::text[]) returning id, queue, name
),
gone_history as (
  delete from conveyor.history
  where id = any($1::text[])
    and finished_at >= $2
    and finished_at <= $3
  returning id, queue, name
),
told as (
  insert into conveyor.events (kind, queue, job_id, name)
  select 'removed', lost.queue, lost.id, lost.name
  from (select * from gone union all select * from gone_history) as lost
  where exists (select from conveyor.watchers where watchers.queue in ('', lost.queue))
),
gone_logs as (
  delete from conveyor.logs where job_id = any($1::text[])
),
gone_attempts as (
  delete from conveyor.attempts where job_id = any($1::text[])
),
gone_keys as (
  delete from conveyor.deduplication_keys
  where ctid = any(array(
    select taken.ctid
    from conveyor.deduplication_keys as taken
    where taken.job_id = any($1::text[])
      and taken.until is null
    -- Whoever locked one waits for a job, maybe this one, and looks anew at who has the key.
    for update skip locked
  ))
)
select (select count(*) from gone) + (select count(*) from gone_history)
