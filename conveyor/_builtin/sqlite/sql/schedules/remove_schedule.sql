-- Deletes a schedule.
-- parameters: 1 id
-- index: primary key of conveyor_schedules
delete from conveyor_schedules
where id = ?1
