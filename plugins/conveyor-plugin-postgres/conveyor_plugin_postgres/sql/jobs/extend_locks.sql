-- Extends the locks of sessions, if that is later than they end now.
-- parameters: 1 session ids, 2 lock duration, 3 now or null
-- index: primary key of sessions
update conveyor.sessions
set expires_at = greatest(expires_at, coalesce($3::timestamptz, clock_timestamp()) + $2::interval)
where id = any(array(select id from conveyor.sessions where id = any($1::text[]) order by id for no key update))
