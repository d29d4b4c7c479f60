-- Adds to what was counted of spans.
-- parameters: 1 a JSON array of [span in seconds, when it begins, queue, name, an object of numbers]
-- index: primary key of conveyor_run_counts
insert into conveyor_run_counts as run_counts (span, start, queue, name, counts)
select json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]')
from json_each(?1)
where true
on conflict (span, start, queue, name) do update
set counts = (
  select json_group_object(word, number)
  from (
    select word, sum(number) as number
    from (
      select key as word, value as number from json_each(run_counts.counts)
      union all
      select key, value from json_each(excluded.counts)
    )
    group by word
  )
)
