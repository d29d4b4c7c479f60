-- Puts jobs into a buffer; see the function.
-- parameters: 1 buffer, 2 ids, 3 queues, 4 names, 5 payloads, 6 options, 7 delays, 8 run_ats, 9 expire_ins,
--   10 expire_ats, 11 deduplications, 12 since when ids were made, 13 now or null
-- index: primary key of buffered, buffer_merges and live, history_id
select duplicates
from conveyor.add_to_buffer($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
