-- What is paused.
-- index: none
select queue, name
from conveyor.paused
