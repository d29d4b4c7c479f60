-- Lets an event be written when a live job comes to another state, called as `event_kind` of the model calls it.
-- parameters: none
-- index: primary key of conveyor_watchers, primary key of conveyor_jobs
create trigger if not exists conveyor_events_moved after update of state on conveyor_live
when old.state <> new.state and exists (select 1 from conveyor_watchers where queue in ('', new.queue))
begin
  insert into conveyor_events (at, kind, queue, job_id, name, data)
  select cast((julianday('now') - 2440587.5) * 86400000000 as integer), moved.kind, new.queue, moved.id, new.name,
         case when moved.kind = 'retried' then new.error end
  from (
    select
      id,
      case
        when new.state = 'active' then 'active'
        when old.state = 'active' and new.stalled_count > old.stalled_count then 'stalled'
        when old.state = 'active' and new.attempts_made > old.attempts_made then 'retried'
        when old.state = 'active' and new.state = 'waiting' then 'released'
        when old.state = 'active' then new.state
        when old.state = 'waiting_children' then 'children_done'
        when old.state = 'delayed' and new.state = 'waiting' then 'promoted'
        when old.state = 'waiting' and new.state = 'delayed' then 'delayed'
      end as kind
    from conveyor_jobs
    where seq = new.seq
  ) as moved
  where moved.kind is not null;
end
