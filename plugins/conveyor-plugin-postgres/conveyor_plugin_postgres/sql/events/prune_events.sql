-- Forgets watchers whose time is over, and events that are too old or too many; see the function.
-- parameters: 1 for how long events are kept, 2 how many, 3 now or null
-- index: events_by
select conveyor.prune_events($1::interval, $2, coalesce($3::timestamptz, clock_timestamp()))
