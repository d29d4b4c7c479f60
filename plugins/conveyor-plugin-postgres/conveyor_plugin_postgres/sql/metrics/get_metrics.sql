-- What was counted: of minutes and hours that end after a time, and of all before.
-- parameters: 1 time, or null for everything, 2 queues, or null for all
-- index: primary key of run_counts
select chosen.span, chosen.start, chosen.queue, chosen.name, jsonb_object_agg(chosen.word, chosen.number)::text
from (
  select one.span, one.start, one.queue, one.name, counted.word, sum(counted.number::bigint) as number
  from conveyor.run_counts as one
  cross join lateral jsonb_each_text(one.counts) as counted(word, number)
  where (
      $1::timestamptz is null
      or (one.span = 60 and one.start > $1::timestamptz - interval '1 minute')
      or (one.span = 3600 and one.start > $1::timestamptz - interval '1 hour')
    )
    and ($2::text[] is null or one.queue = any($2::text[]))
  group by one.span, one.start, one.queue, one.name, counted.word
) as chosen
group by chosen.span, chosen.start, chosen.queue, chosen.name
order by case when chosen.span = 0 then '-infinity' else chosen.start end, chosen.queue, chosen.name, chosen.span
