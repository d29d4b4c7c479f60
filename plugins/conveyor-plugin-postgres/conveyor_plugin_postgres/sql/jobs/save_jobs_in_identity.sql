-- What tells this store's database and schema apart from others.
-- parameters: none
-- index: primary key of migrations
select format('%s %s %s', current_database(), 'conveyor.live'::regclass::oid, extract(epoch from applied_at))
from conveyor.migrations
where version = 1
