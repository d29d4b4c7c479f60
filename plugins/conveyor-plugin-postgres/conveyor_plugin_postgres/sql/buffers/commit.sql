-- Whether a token was committed; no row where it has nothing. Nobody else gets its buffer until the transaction ends.
-- parameters: 1 token
-- index: none: one row for each buffer that was ever flushed
select (committed = $1) is true
from conveyor.buffer_takes
where token = $1
  or committed = $1
for no key update
