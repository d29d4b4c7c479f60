-- Whether anybody watched since the last time that nobody did.
-- parameters: none
-- index: none: it reads the schema
select exists (select 1 from conveyor_watchers) or exists (select 1 from sqlite_master
  where name = 'conveyor_events_added')
