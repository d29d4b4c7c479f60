-- The last job there is.
-- parameters: none
-- index: primary key of jobs
select max(seq)
from jobs
