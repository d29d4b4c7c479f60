-- Forgets a watcher.
-- parameters: 1 id
-- index: primary key of watchers
delete from conveyor.watchers
where id = $1
