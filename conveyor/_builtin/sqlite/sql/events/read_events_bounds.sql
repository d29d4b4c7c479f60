-- The last event there was, and the first there is; null: there is none.
-- parameters: none
-- index: primary key of conveyor_events
select
  coalesce((select seq from sqlite_sequence where name = 'conveyor_events'), 0),
  (select min(seq) from conveyor_events)
