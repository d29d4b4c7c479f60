-- Stores the progress of runs whose lock holds; returns the places of the others, and why; see the function.
-- parameters: 1 job ids, 2 session ids, 3 fetch numbers, 4 progress
-- index: primary key of live
select refused, reason
from conveyor.set_progress($1, $2, $3, $4)
