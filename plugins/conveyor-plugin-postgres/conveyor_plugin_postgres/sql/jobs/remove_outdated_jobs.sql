-- Settled jobs of queues that are to be kept no longer: by age, by number, or by their own option; and when each
-- ended.
-- parameters: 1 queues, 2 longest age or null, 3 how many each queue keeps or null, 4 how many, 5 now or null
-- index: history_finished, once for each queue and state; history_kept
with clock as (
  select coalesce($5::timestamptz, clock_timestamp()) as now_at
),
-- The newest of those that are too many: it and those before it go.
surplus as (
  select asked.queue, newest.finished_at, newest.seq
  from unnest($1::text[]) as asked(queue)
  cross join lateral (
    select kept.finished_at, kept.seq
    from unnest(array['cancelled', 'completed', 'failed']) as ended(state)
    cross join lateral (
      select history.finished_at, history.seq
      from conveyor.history
      where history.queue = asked.queue
        and history.state = ended.state
      order by history.finished_at desc, history.seq desc
      limit $3 + 1
    ) as kept
    order by kept.finished_at desc, kept.seq desc
    limit 1 offset $3
  ) as newest
  where $3::bigint is not null
)
select id, finished_at
from (
  (
    select old.id, old.finished_at
    from unnest($1::text[]) as asked(queue)
    cross join unnest(array['cancelled', 'completed', 'failed']) as ended(state)
    cross join clock
    cross join lateral (
      select history.id, history.finished_at
      from conveyor.history
      where history.queue = asked.queue
        and history.state = ended.state
        and history.finished_at <= clock.now_at - $2::interval
      order by history.finished_at
      limit $4
      for update skip locked
    ) as old
    limit $4
  )
  union
  (
    select old.id, old.finished_at
    from surplus
    cross join unnest(array['cancelled', 'completed', 'failed']) as ended(state)
    cross join lateral (
      select history.id, history.finished_at
      from conveyor.history
      where history.queue = surplus.queue
        and history.state = ended.state
        and (history.finished_at, history.seq) <= (surplus.finished_at, surplus.seq)
      order by history.finished_at
      limit $4
      for update skip locked
    ) as old
    limit $4
  )
  union
  (
    select old.id, old.finished_at
    from clock
    cross join lateral (
      select history.id, history.finished_at
      from conveyor.history
      where history.kept_until <= clock.now_at
        and history.queue = any($1::text[])
      limit $4
      for update skip locked
    ) as old
  )
) as outdated
limit $4
