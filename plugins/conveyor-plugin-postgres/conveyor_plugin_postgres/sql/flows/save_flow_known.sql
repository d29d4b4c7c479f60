-- Those of these jobs whose ids are taken, by their places, and whether by the very same job.
-- parameters: 1 ids, 2 queues, 3 names, 4 payloads
-- index: primary key of live, history_id
select asked.place, known.queue = asked.queue and known.name = asked.name and known.payload = asked.payload
from unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) with ordinality
  as asked(id, queue, name, payload, place)
cross join lateral (
  select live.queue, live.name, coalesce(live.added_payload, live.payload) as payload
  from conveyor.live
  where live.id = asked.id
  union all
  select history.queue, history.name, coalesce(history.added_payload, history.payload)
  from conveyor.history
  where history.id = asked.id
) as known
