-- SPDX-License-Identifier: MIT
-- The schema, and the list of what was applied to it. Nothing but the server and `postern migrate` writes to the list,
-- under an advisory lock; a database with a schema postern and without this list is refused.

create schema postern;

create table postern.migration (
	name       text primary key,
	checksum   text not null, -- BLAKE2b-256 of the file, which never changes again
	applied_at timestamptz not null default clock_timestamp()
);

-- Caller: src/pg/migrate.c, in the migration's own transaction.
create function postern.migration_applied(p_name text, p_checksum text) returns void
language sql as $$
	insert into postern.migration (name, checksum) values (p_name, p_checksum)
$$;
