-- Children that ended, and how, though a parent was not told; those that are gone have no state.
-- parameters: 1 how many
-- index: conveyor_flow_edges_open, unique (id) of jobs
select flow_edges.child_id, history.state, history.result, history.error
from conveyor_flow_edges as flow_edges
left join conveyor_jobs as jobs on jobs.id = flow_edges.child_id
left join conveyor_history as history on history.seq = jobs.seq
where flow_edges.outcome is null
  and (jobs.seq is null or history.seq is not null)
limit ?1
