-- Keeps which jobs of a buffer went into which others.
-- parameters: 1 ids, 2 ids of the others, 3 now or null
-- index: primary key of buffered
insert into conveyor.buffer_merges (job_id, into_id, digest, merged_at)
select buffered.id, pairs.into_id, buffered.digest, coalesce($3::timestamptz, clock_timestamp())
from unnest($1::text[], $2::text[]) as pairs(job_id, into_id)
join conveyor.buffered on buffered.id = pairs.job_id
