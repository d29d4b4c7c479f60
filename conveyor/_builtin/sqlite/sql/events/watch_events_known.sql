-- Whether a watcher is known whose time is not over, and the last event there was.
-- parameters: 1 id, 2 now
-- index: primary key of conveyor_watchers
select
  exists (select 1 from conveyor_watchers where id = ?1 and until > ?2),
  coalesce((select seq from sqlite_sequence where name = 'conveyor_events'), 0)
