-- SPDX-License-Identifier: MIT
-- Tells a worker if a message could be stored now, without a message.

-- Raises an error that says why the log lock can't be had. A commit that waits for its synchronous standby
-- keeps the lock.
-- Caller: log_probe().
-- Errors: always: PS001 if a commit waits for a standby, else 55P03.
create function probe_locked() returns void
language plpgsql as $$
begin
	if exists (
		select
		from pg_locks l
		join pg_stat_activity a on a.pid = l.pid
		where l.locktype = 'advisory'
			and l.granted
			and a.wait_event = 'SyncRep'
			and a.datname = current_database()
			and l.classid = (log_lock_key() >> 32)::oid
			and l.objid = (log_lock_key() & 4294967295)::oid
	) then
		raise sqlstate 'PS001' using message = 'no synchronous standby confirms commits';
	end if;
	raise lock_not_available using message = 'another session holds the log lock';
end $$;

-- Does what a send would do, but changes nothing. It commits a few bytes of WAL, so that the confirmation of a
-- commit is tested too.
--   p_failed  the SQLSTATE of the failure before this call; '' if there was none. After a failure the function
--             also writes and rolls back, because the trouble is over only when the operation that failed
--             works again.
-- Caller: log/batch.c.
-- Locks: the log lock, waited for at most 1 s.
-- Errors: those of a send; 55P03, PS001.
create function log_probe(p_failed text) returns void
language plpgsql set lock_timeout = '1s' as $$
begin
	if (
		select count(*) filter (where has_function_privilege(p.oid, 'execute')) < 2
		from pg_proc p
		where p.pronamespace = current_schema()::regnamespace and p.proname in ('send', 'send_one')
	) then
		raise insufficient_privilege
			using message = 'permission denied for functions send or send_one, or they are missing';
	end if;
	if current_setting('transaction_read_only')::boolean then
		raise read_only_sql_transaction using message = 'transactions are read-only';
	end if;
	if pg_notification_queue_usage() > 0.99 then
		raise program_limit_exceeded using message = 'too many notifications in the NOTIFY queue';
	end if;
	begin
		perform pg_advisory_xact_lock(log_lock_key());
	exception when lock_not_available then
		perform probe_locked();
	end;
	if p_failed <> '' then
		begin
			insert into log_batch (upto, at)
			select b.upto + 1, b.at
			from log_batch b
			order by b.upto desc
			limit 1;
			if p_failed = '53100' then -- disk full: allocate new pages
				insert into meta (key, value)
				select 'probe', string_agg(md5(random()::text), '')
				from generate_series(1, 4096);
			end if;
			raise sqlstate 'PS000';
		exception when sqlstate 'PS000' then
			null;
		end;
	end if;
	perform pg_logical_emit_message(true, 'postern', '');
end $$;
