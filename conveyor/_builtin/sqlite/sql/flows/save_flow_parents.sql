-- Notes how a job goes on that waits for children, unless that is known.
-- parameters: 1 job id, 2 policy, 3 delay or null, 4 whether it is removed when a child fails, 5 how long it is kept then
--   or null, 6 digest of the flow that it is the root of, or null
-- index: primary key of conveyor_flow_parents
insert into conveyor_flow_parents (job_id, policy, delay, is_removed, kept_for, digest)
values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (job_id) do nothing
