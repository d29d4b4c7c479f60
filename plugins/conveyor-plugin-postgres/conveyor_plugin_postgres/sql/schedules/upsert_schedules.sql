-- Keeps schedules as they are now.
-- parameters: 1 ids, 2 queues, 3 names, 4 payloads, 5 options, 6 rules, 7 states, 8 due_ats
-- index: primary key of schedules
insert into conveyor.schedules as schedule (id, queue, name, payload, options, rule, state, due_at)
select *
from unnest(
  $1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[], $8::timestamptz[]
)
on conflict (id) do update
set queue = excluded.queue,
    name = excluded.name,
    payload = excluded.payload,
    options = excluded.options,
    rule = excluded.rule,
    state = excluded.state,
    due_at = excluded.due_at
