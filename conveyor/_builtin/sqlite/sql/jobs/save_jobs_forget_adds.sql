-- Forgets answers that were given long ago.
-- parameters: 1 now, 2 how many at most
-- index: deduplicated_adds_forget
delete from deduplicated_adds
where (add_id, digest) in (
  select add_id, digest from deduplicated_adds where forget_at <= ?1 order by forget_at limit ?2
)
