-- Transactions that may have found nobody who watches: they looked, and are not over.
-- parameters: none
-- index: none
select virtualtransaction
from pg_locks
where relation = 'conveyor.watchers'::regclass
  and database = (select oid from pg_database where datname = current_database())
  and pid <> pg_backend_pid()
