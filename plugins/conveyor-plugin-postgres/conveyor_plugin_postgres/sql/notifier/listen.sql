-- Shows that this connection listens, for as long as there is a connection; returns the server's process for it.
-- parameters: 1 channel
select pg_backend_pid()
from pg_advisory_lock_shared(hashtextextended($1, 0))
