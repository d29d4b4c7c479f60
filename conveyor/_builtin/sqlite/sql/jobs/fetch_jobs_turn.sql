-- The groups whose turns are the first after a place in the round.
-- parameters: 1 queue, 2 time, 3 group, 4 how many
-- index: conveyor_queue_groups_turns
select group_id, at
from conveyor_queue_groups
where queue = ?1
  and is_parked = 0
  and (at, group_id) > (?2, ?3)
order by at, group_id
limit ?4
