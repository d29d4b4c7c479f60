-- How many bytes the schema's tables and indexes take.
-- parameters: 1 schema
select coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint
from pg_class
join pg_namespace on pg_namespace.oid = pg_class.relnamespace
where pg_namespace.nspname = $1
  and pg_class.relkind in ('r', 'S')
