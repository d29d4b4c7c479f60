-- Forgets where the workers ran that were opened first, beyond so many.
-- parameters: 1 how many to keep
-- index: primary key of conveyor_workers
delete from conveyor_workers
where seq <= (select max(seq) from conveyor_workers) - ?1
