-- Counts runs that ended now; see the function.
-- parameters: 1 a JSON array of [queue, name, an object of numbers], 2 session id, 3 now
-- index: primary key of run_counts
select conveyor.count_runs($1::text::jsonb, $2, $3)
