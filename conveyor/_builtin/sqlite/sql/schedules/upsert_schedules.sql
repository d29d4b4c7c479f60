-- Keeps a schedule as it is now.
-- parameters: 1 id, 2 queue, 3 name, 4 payload, 5 options or null, 6 rule, 7 state, 8 due_at or null
-- index: primary key of conveyor_schedules
insert into conveyor_schedules (id, queue, name, payload, options, rule, state, due_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
on conflict (id) do update
set queue = excluded.queue,
    name = excluded.name,
    payload = excluded.payload,
    options = excluded.options,
    rule = excluded.rule,
    state = excluded.state,
    due_at = excluded.due_at
