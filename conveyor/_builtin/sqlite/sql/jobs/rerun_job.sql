-- Gives a job a new place in the order of adding, and maybe a new payload.
-- parameters: 1 job id, 2 new seq, 3 payload or null
-- index: unique (id) of jobs
update conveyor_jobs
set seq = ?2,
    expires_at = null,
    payload = coalesce(?3, payload),
    added_payload = case when ?3 is null then added_payload else coalesce(added_payload, payload) end
where id = ?1
