-- Which ids are those of jobs, or of jobs that went on from a buffer; the latter with the digest of their add.
-- parameters: 1 ids as a JSON array
-- index: primary key of conveyor_buffer_merges, unique (id) of jobs
select job_id, digest
from conveyor_buffer_merges
where job_id in (select value from json_each(?1))
union all
select id, null
from conveyor_jobs
where id in (select value from json_each(?1))
