-- Keeps a part of a batch job.
-- parameters: 1 id of the batch job, 2 number, 3 span, 4 id of the job
-- index: primary key of conveyor_batch_parts
insert into conveyor_batch_parts (batch_id, number, span, job_id)
values (?1, ?2, ?3, ?4)
