-- The limits of a queue and where its round of groups stands, where it has limits or groups.
-- parameters: 1 queue
-- index: primary key of guards
select limits, round_at
from guards
where queue = ?1
