-- How many jobs of a group wait.
-- parameters: 1 queue, 2 group
-- index: live_grouped, live_suspects
select conveyor.count_group($1, $2)
