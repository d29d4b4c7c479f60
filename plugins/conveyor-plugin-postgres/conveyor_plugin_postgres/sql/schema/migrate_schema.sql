-- Makes the schema.
create schema if not exists conveyor
