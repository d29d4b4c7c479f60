-- Events of a queue (all: empty) that were committed after one snapshot and by another, or by now, from a number on.
-- Each row begins with that other snapshot, and with how many events were forgotten, at most, that the first one does
-- not see, after the highest number read; where there is no event, one row has nothing else.
-- parameters: 1 snapshot, 2 snapshot or null: now, 3 number, 4 queue, 5 how many, 6 highest number read
-- index: events_by
with bounds as (
  select coalesce($2::text::pg_snapshot, pg_current_snapshot()) as until
)
select
  bounds.until::text,
  (
    select greatest(forgotten.seq - $6, 1)
    from conveyor.events_forgotten as forgotten
    where not pg_visible_in_snapshot(forgotten.written_by, $1::text::pg_snapshot)
  ),
  event.*
from bounds
left join lateral (
  select seq, at, kind, queue, job_id, name, data, count
  from conveyor.events
  where events.written_by >= pg_snapshot_xmin($1::text::pg_snapshot)
    and not pg_visible_in_snapshot(events.written_by, $1::text::pg_snapshot)
    and pg_visible_in_snapshot(events.written_by, bounds.until)
    and events.seq > $3
    and $4 in ('', events.queue)
  order by events.seq
  limit $5
) as event on true
order by event.seq
