-- Writes where the parts of a batch job stand together: when it is divided, and when a part is stepped or ends.
-- parameters: 1 id, 2 now, 3 revision, 4 done, 5 total or null, 6 counts as JSON, 7 message or null, 8 retries, 9 parts,
--   10 parts that are done
-- index: primary key of conveyor_batches
update conveyor_batches
set updated_at = ?2,
    revision = ?3,
    done = ?4,
    total = ?5,
    counts = ?6,
    message = ?7,
    retries = ?8,
    parts = ?9,
    parts_done = ?10
where id = ?1
