-- What was counted: of minutes and hours that begin after a time, and of all before.
-- parameters: 1 after when minutes begin, 2 after when hours do, 3 whether the sum is wanted (0 or 1),
--   4 queues as a JSON array, or null for all
-- index: primary key of conveyor_run_counts
select span, start, queue, name, counts
from (
  select * from conveyor_run_counts where span = 0 and ?3
  union all
  select * from conveyor_run_counts where span = 3600 and start > ?2
  union all
  select * from conveyor_run_counts where span = 60 and start > ?1
)
where ?4 is null
  or queue in (select value from json_each(?4))
order by start, queue, name, span
