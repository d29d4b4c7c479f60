-- Deletes a job from its buffer.
-- parameters: 1 id, 2 buffer
-- index: primary key of buffered
delete from conveyor.buffered
where id = $1
  and buffer = $2
