-- Notes a migration.
-- parameters: 1 version, 2 name, 3 checksum
insert into conveyor.migrations (version, name, checksum, applied_at)
values ($1, $2, $3, clock_timestamp())
