-- Whether anybody watches.
-- parameters: none
-- index: primary key of watchers
select exists (select 1 from watchers)
