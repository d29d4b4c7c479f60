-- Groups of failed jobs, those that failed last first, each with the last of its jobs.
-- parameters: 1 queues, 2 names, 3 groups (each a JSON array or null), 4 the last time of the group before or null, 5 its id,
--   6 how many
-- index: conveyor_history_error_groups
select alike.error_group, example.queue, example.name, last.error, alike.count, alike.first_at, alike.last_at,
  example.id
from (
  select error_group, count(*) as count, min(finished_at) as first_at, max(finished_at) as last_at, queue
  from conveyor_history
  where error_group is not null
    and (?1 is null or queue in (select value from json_each(?1)))
    and (?3 is null or error_group in (select value from json_each(?3)))
  group by error_group, queue
) as alike
join conveyor_history as last on last.seq = (
  select one.seq
  from conveyor_history as one
  where one.error_group = alike.error_group
    and one.queue = alike.queue
    and one.finished_at = alike.last_at
  order by one.seq desc
  limit 1
)
join conveyor_jobs as example on example.seq = last.seq
where (?2 is null or example.name in (select value from json_each(?2)))
  and (?4 is null or (alike.last_at, alike.error_group) < (?4, ?5))
order by alike.last_at desc, alike.error_group desc
limit ?6
