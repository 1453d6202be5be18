-- SPDX-License-Identifier: MIT
-- What a worker measures in the database. It is called every few seconds and takes no lock.

--   queue_usage  the share of the notification queue in use
--   version      the server's version
--   timeline     the timeline that the server writes
--   size         with p_sizes: the bytes of the database (a stat() of each file)
--   messages     with p_sizes: the number of messages that the last ANALYZE or VACUUM estimated
-- Caller: serve/worker.c.
create function database_measures(
	p_sizes boolean,
	out queue_usage double precision,
	out version text,
	out timeline text,
	out size bigint,
	out messages bigint
)
language plpgsql as $$
begin
	queue_usage := pg_notification_queue_usage();
	version := current_setting('server_version');
	timeline := substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
	if p_sizes then
		size := pg_database_size(current_database());
		messages := greatest(c.reltuples, 0)::bigint from pg_class c where c.oid = to_regclass(
			'message'
		);
	end if;
end $$;
