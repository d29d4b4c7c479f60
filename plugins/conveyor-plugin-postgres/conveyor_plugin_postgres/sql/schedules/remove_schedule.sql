-- Deletes a schedule.
-- parameters: 1 id
-- index: primary key of schedules
delete from conveyor.schedules
where id = $1
