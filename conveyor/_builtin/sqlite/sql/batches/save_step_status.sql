-- Where a batch job stands, and whether it is a run's to write.
-- parameters: 1 id, 2 run
-- index: primary key of batches
select status, run is ?2 and status in ('processing', 'pausing', 'cancelling')
from batches
where id = ?1
