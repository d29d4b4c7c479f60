-- The last event there was, and the first there is; null: there is none.
-- parameters: none
-- index: primary key of events
select
  coalesce((select seq from sqlite_sequence where name = 'events'), 0),
  (select min(seq) from events)
