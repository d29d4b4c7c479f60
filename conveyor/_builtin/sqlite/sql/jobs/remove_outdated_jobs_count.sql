-- How many settled jobs a queue has, counted no farther than a bound.
-- parameters: 1 queue, 2 the bound
-- index: conveyor_history_finished
select count(*)
from (select 1 from conveyor_history where queue = ?1 limit ?2)
