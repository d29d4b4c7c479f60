-- Lets the jobs of a queue be counted that run already.
-- parameters: 1 queue
-- index: live_active; it may read all jobs that live
update conveyor.live
set is_limited = true
where id = any(array(
  select running.id
  from conveyor.live as running
  where running.queue = $1
    and running.state = 'active'
    and not running.is_limited
  order by running.id
  for no key update
))
