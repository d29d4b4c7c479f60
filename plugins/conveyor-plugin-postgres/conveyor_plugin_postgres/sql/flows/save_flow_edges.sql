-- Lets jobs wait for others.
-- parameters: 1 parents' ids, 2 children's ids, 3 the children's queues, 4 their names
-- index: primary keys of flow_edges and flow_parents
with linked as (
  insert into conveyor.flow_edges (parent_id, child_id, queue, name)
  select asked.parent_id, asked.child_id, asked.queue, asked.name
  from unnest($1::text[], $2::text[], $3::text[], $4::text[]) with ordinality
    as asked(parent_id, child_id, queue, name, place)
  order by asked.place
  on conflict (parent_id, child_id) do nothing
  returning flow_edges.parent_id
)
update conveyor.flow_parents
set open_count = flow_parents.open_count + counts.more
from (select linked.parent_id, count(*) as more from linked group by linked.parent_id) as counts
where flow_parents.job_id = counts.parent_id
