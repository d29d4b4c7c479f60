-- Groups of failed jobs, those that failed last first, each with the last of its jobs.
-- parameters: 1 queues or null, 2 names or null, 3 groups or null, 4 the last time of the group before or null, 5 its id,
--   6 how many
-- index: history_error_groups
select alike.error_group, example.queue, example.name, example.error, alike.count, alike.first_at, alike.last_at, example.id
from (
  select error_group, queue, count(*) as count, min(finished_at) as first_at, max(finished_at) as last_at
  from conveyor.history
  where error_group is not null
    and ($1::text[] is null or queue = any($1::text[]))
    and ($3::text[] is null or error_group = any($3::text[]))
  group by error_group, queue
) as alike
cross join lateral (
  select one.id, one.queue, one.name, one.error
  from conveyor.history as one
  where one.error_group = alike.error_group
    and one.queue = alike.queue
    and one.finished_at = alike.last_at
  order by one.seq desc
  limit 1
) as example
where ($2::text[] is null or example.name = any($2::text[]))
  and ($4::timestamptz is null or (alike.last_at, alike.error_group) < ($4::timestamptz, $5::text collate "C"))
order by alike.last_at desc, alike.error_group desc
limit $6
