-- Notes how jobs go on that wait for children, unless that is known.
-- parameters: 1 job ids, 2 policies, 3 delays, 4 whether they are removed when a child fails, 5 how long they are kept then
-- index: primary key of flow_parents
insert into conveyor.flow_parents (job_id, policy, delay, is_removed, kept_for)
select asked.id, asked.policy, asked.delay, asked.is_removed, asked.kept_for
from unnest($1::text[], $2::text[], $3::interval[], $4::boolean[], $5::interval[])
  as asked(id, policy, delay, is_removed, kept_for)
order by asked.id
on conflict (job_id) do nothing
