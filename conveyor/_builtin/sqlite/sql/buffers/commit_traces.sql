-- Keeps which jobs of a buffer went into which others.
-- parameters: 1 pairs of ids as a JSON array, 2 the digests of the adds, one after another, 3 the length of each, 4 now
-- index: primary key of conveyor_buffer_merges
insert into conveyor_buffer_merges (job_id, into_id, digest, merged_at)
select json_extract(value, '$[0]'), json_extract(value, '$[1]'), substr(?2, key * ?3 + 1, ?3), ?4
from json_each(?1)
