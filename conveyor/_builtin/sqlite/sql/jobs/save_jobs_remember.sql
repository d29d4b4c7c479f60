-- Remembers for a while what an add was answered that left no job.
-- parameters: 1 digest, 2 job id, 3 outcome, 4 until when
-- index: primary key of deduplicated_adds
insert into deduplicated_adds (digest, job_id, outcome, forget_at)
values (?1, ?2, ?3, ?4)
-- One that was remembered too long ago may still be there.
on conflict (digest) do update set job_id = excluded.job_id, outcome = excluded.outcome, forget_at = excluded.forget_at
