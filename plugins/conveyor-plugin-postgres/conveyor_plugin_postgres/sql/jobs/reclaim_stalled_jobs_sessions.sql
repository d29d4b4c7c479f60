-- Sessions whose lock is over, so that nobody renews them meanwhile.
-- parameters: 1 now
-- index: primary key of sessions
select id
from conveyor.sessions
where expires_at <= $1
order by id
for update skip locked
