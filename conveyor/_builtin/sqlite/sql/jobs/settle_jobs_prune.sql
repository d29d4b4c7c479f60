-- Forgets the runs that removed their jobs long ago.
-- parameters: 1 how many to keep
-- index: primary key of removed
delete from removed
where seq <= (select max(seq) from removed) - ?1
