-- Forgets where the workers ran that were opened first, beyond so many.
-- parameters: 1 how many to keep
-- index: primary key of workers
delete from workers
where seq <= (select max(seq) from workers) - ?1
