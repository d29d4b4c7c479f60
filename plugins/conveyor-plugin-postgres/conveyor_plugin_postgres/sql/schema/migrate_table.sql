-- Makes the table of migrations.
create table if not exists conveyor.migrations (
  version integer primary key,
  name text not null,
  checksum text not null,
  applied_at timestamptz not null
)
