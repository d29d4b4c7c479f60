-- Tells whoever listens.
-- parameters: 1 channel, 2 payloads
select pg_notify($1, payload)
from unnest($2::text[]) as payload
