-- Children that ended, and how, though a parent was not told; those that are gone have no state.
-- parameters: 1 how many
-- index: flow_edges_open, primary key of live, history_id
select distinct untold.child_id, ended.state, ended.result, ended.error
from (
  select flow_edges.child_id
  from conveyor.flow_edges
  where flow_edges.outcome is null
    and not exists (select from conveyor.live where live.id = flow_edges.child_id offset 0)
  limit $1
) as untold
left join lateral (
  select history.state, history.result, history.error
  from conveyor.history
  where history.id = untold.child_id
  limit 1
) as ended on true
