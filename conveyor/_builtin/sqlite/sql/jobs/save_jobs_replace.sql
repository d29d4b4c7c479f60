-- Gives a job the payload and the options of another.
-- parameters: 1 job id, 2 payload, 3 options, 4 until when it must have started, or null
-- index: unique (id) of jobs
update conveyor_jobs
set payload = ?2, options = ?3, expires_at = ?4, added_payload = coalesce(added_payload, payload)
where id = ?1
