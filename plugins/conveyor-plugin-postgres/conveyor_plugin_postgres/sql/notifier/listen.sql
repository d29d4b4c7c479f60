-- Shows that this connection listens, for as long as there is a connection.
-- parameters: 1 channel
select pg_advisory_lock_shared(hashtextextended($1, 0))
