-- Sets what limits hold for a queue that is known as one with limits.
-- parameters: 1 queue, 2 limits as JSON
-- index: primary key of guards
update conveyor.guards
set limits = $2::text::jsonb
where queue = $1
