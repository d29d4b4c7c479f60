-- Keeps what a session holds.
-- parameters: 1 id, 2 lock duration, 3 now or null
-- index: primary key of sessions
update conveyor.sessions
set expires_at = coalesce($3::timestamptz, clock_timestamp()) + $2::interval
where id = $1
