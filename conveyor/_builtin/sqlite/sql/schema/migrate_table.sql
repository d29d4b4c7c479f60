-- Makes the table of migrations.
-- parameters: none
-- index: none
create table if not exists conveyor_migrations (
  version integer primary key,
  name text not null,
  checksum text not null,
  applied_at integer not null
)
