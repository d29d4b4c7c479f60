-- Writes down a migration.
-- parameters: 1 version, 2 name, 3 checksum, 4 now
-- index: primary key of conveyor_migrations
insert into conveyor_migrations (version, name, checksum, applied_at)
values (?1, ?2, ?3, ?4)
