-- Forgets a watcher.
-- parameters: 1 id
-- index: primary key of conveyor_watchers
delete from conveyor_watchers
where id = ?1
