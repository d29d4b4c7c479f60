-- Keeps which jobs of a buffer went into which others.
-- parameters: 1 pairs of ids as a JSON array, 2 now
-- index: unique (id) of buffered
insert into buffer_merges (job_id, into_id, digest, merged_at)
select buffered.id, json_extract(pairs.value, '$[1]'), buffered.digest, ?2
from json_each(?1) as pairs
join buffered on buffered.id = json_extract(pairs.value, '$[0]')
