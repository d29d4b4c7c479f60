-- Children that ended, and how, though a parent was not told; those that are gone have no state.
-- parameters: 1 how many
-- index: flow_edges_open, unique (id) of jobs
select flow_edges.child_id, history.state, history.result, history.error
from flow_edges
left join jobs on jobs.id = flow_edges.child_id
left join history on history.seq = jobs.seq
where flow_edges.outcome is null
  and (jobs.seq is null or history.seq is not null)
limit ?1
