-- Forgets the runs that removed their jobs long ago.
-- parameters: 1 how many to keep
-- index: primary key of conveyor_removed
delete from conveyor_removed
where seq <= (select max(seq) from conveyor_removed) - ?1
