-- SPDX-License-Identifier: MIT
-- What a worker reports about the database. Called every few seconds, takes no lock.

-- The share of the notification queue in use, the server's version, and the timeline that it writes on; with p_sizes also the bytes of the
-- database (a stat() of each of its files) and the number of messages as the last ANALYZE or VACUUM estimated it.
create function database_measures(p_sizes boolean, out queue_usage double precision, out version text, out timeline text, out size bigint,
	out messages bigint)
language plpgsql as $$
begin
	queue_usage := pg_notification_queue_usage();
	version := current_setting('server_version');
	timeline := substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8);
	if p_sizes then
		size := pg_database_size(current_database());
		messages := greatest(c.reltuples, 0)::bigint from pg_class c where c.oid = to_regclass('message');
	end if;
end $$;
