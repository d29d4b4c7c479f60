-- Where a batch job stands, and whether it is a run's to write.
-- parameters: 1 id, 2 run
-- index: primary key of conveyor_batches
select status, run is ?2 and status in ('processing', 'pausing', 'cancelling')
from conveyor_batches
where id = ?1
