-- Tells whoever listens, unless that is nobody but the caller: a NOTIFY that nobody hears would cost a commit, too.
-- parameters: 1 channel, 2 payloads, 3 the server's process for the caller's own listening connection, or null
select pg_notify($1, payload)
from unnest($2::text[]) as payload
where exists (
  select
  from pg_locks
  where locktype = 'advisory'
    and database = (select oid from pg_database where datname = current_database())
    and (classid::bigint << 32) | objid::bigint = hashtextextended($1, 0)
    and objsubid = 1
    and granted
    and pid is distinct from $3
)
