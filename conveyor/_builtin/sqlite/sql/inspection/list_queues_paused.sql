-- What is paused in every queue.
-- parameters: none
-- index: none: it reads the whole table
select queue, name
from conveyor_paused
