-- Takes back what the parents of a job were told; how it had ended is still known to them by their counts.
-- parameters: 1 child id
-- index: conveyor_flow_edges_child
update conveyor_flow_parents as flow_parents
set open_count = open_count + 1,
    failed_count = max(failed_count - (
      select outcome <> 'completed' from conveyor_flow_edges where parent_id = flow_parents.job_id and child_id = ?1
    ), 0)
where job_id in (select parent_id from conveyor_flow_edges where child_id = ?1 and outcome is not null)
