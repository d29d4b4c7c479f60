-- Makes jobs wait for their children that were just added.
-- parameters: 1 job ids, 2 their times, null where they have none
-- index: primary key of live
update conveyor.live
set state = 'waiting_children', run_at = greatest(live.run_at, asked.run_at)
from unnest($1::text[], $2::timestamptz[]) as asked(id, run_at)
where live.id = asked.id
