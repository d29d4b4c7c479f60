-- Tells whoever listens, unless that is nobody but the caller: a NOTIFY that nobody hears would cost a commit, too. All
-- who listen share a lock; it is to be had until this ends if nobody else does. To ask pg_locks would take longer with
-- every lock that anybody has.
-- parameters: 1 channel, 2 payloads
select pg_notify($1, payload)
from unnest($2::text[]) as payload
where not pg_try_advisory_xact_lock(hashtextextended($1, 0))
