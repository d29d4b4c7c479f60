-- Adds hours that ended by a time to the sum of all; returns how many rows that were.
-- parameters: 1 time, 2 how many at most
-- index: primary key of run_counts
-- A subquery of the delete could be run once for each row, and so bring more than the limit.
with chosen as materialized (
  select span, start, queue, name, session_id
  from conveyor.run_counts
  where span = 3600
    and start <= $1::timestamptz - interval '1 hour'
  order by span, start, queue, name, session_id
  limit $2
  for update skip locked
),
old as (
  delete from conveyor.run_counts as counted
  using chosen
  where (counted.span, counted.start, counted.queue, counted.name, counted.session_id)
    = (chosen.span, chosen.start, chosen.queue, chosen.name, chosen.session_id)
  returning counted.start, counted.queue, counted.name, counted.counts
),
cells as (
  select to_timestamp(0) as start, old.queue, old.name, counted.word,
         sum(counted.number::bigint) as number
  from old
  cross join lateral jsonb_each_text(old.counts) as counted(word, number)
  group by 1, 2, 3, 4
),
added as (
  insert into conveyor.run_counts as known (span, start, queue, name, session_id, counts)
  select 0, start, queue, name, '', jsonb_object_agg(word, number)
  from cells
  group by start, queue, name
  order by start, queue, name
  on conflict (span, start, queue, name, session_id) do update
  set counts = conveyor.add_counts(known.counts, excluded.counts)
)
select count(*) from old
