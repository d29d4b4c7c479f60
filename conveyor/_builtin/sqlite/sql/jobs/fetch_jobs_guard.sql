-- The limits of a queue and where its round of groups stands, where it has limits or groups.
-- parameters: 1 queue
-- index: primary key of conveyor_guards
select limits, round_at
from conveyor_guards
where queue = ?1
