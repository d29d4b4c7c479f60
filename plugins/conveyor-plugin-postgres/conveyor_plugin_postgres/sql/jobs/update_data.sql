-- Gives a live job another payload.
-- parameters: 1 job id, 2 payload
-- index: primary key of live
update conveyor.live
set payload = $2,
    added_payload = coalesce(added_payload, payload)
where id = $1
