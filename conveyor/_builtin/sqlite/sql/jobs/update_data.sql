-- Gives a job another payload.
-- parameters: 1 job id, 2 payload
-- index: unique (id) of jobs
update conveyor_jobs
set payload = ?2,
    added_payload = coalesce(added_payload, payload)
where id = ?1
