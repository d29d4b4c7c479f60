-- Whether anybody watched since the last time that nobody did.
-- parameters: none
-- index: none: it reads the schema
select exists (select 1 from watchers) or exists (select 1 from sqlite_master where name = 'events_added')
