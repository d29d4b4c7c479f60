-- Those of these jobs that have these children, by their children.
-- parameters: 1 parents' ids, 2 children's ids
-- index: primary key of flow_edges
select flow_edges.child_id
from unnest($1::text[], $2::text[]) as asked(parent_id, child_id)
join conveyor.flow_edges on flow_edges.parent_id = asked.parent_id and flow_edges.child_id = asked.child_id
