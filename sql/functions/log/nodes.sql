-- SPDX-License-Identifier: MIT
-- How workers attach to the log.

-- Records that a node is alive. Each node calls it every two seconds. Returns the head, so that the worker
-- notices when it has missed a notification.
-- Callers: log/tail.c, node_attach().
create function node_beat(p_node text) returns bigint
language sql as $$
	insert into node (name, functions)
	values (p_node, current_schema())
	on conflict (name) do update set seen_at = clock_timestamp();
	select log_head();
$$;

-- A worker's first call on the connection that listens, and its first call after that connection was lost.
-- Listens on the three channels of doc/protocols.md. Under the log lock nothing commits between the LISTEN and
-- the read of the head.
--   p_epoch            the epoch that the worker knows; null at first
--   p_known, p_checks  positions that the worker has received, ascending, with their checks
--   common             the last of p_known that this history holds. If it is not the last one, the history was
--                      rewound.
--   origin             identifies the server's run and the database
-- Caller: log/tail.c.
-- Locks: the log lock.
create function node_attach(
	p_node text,
	p_epoch text,
	p_known bigint[],
	p_checks bigint[],
	out epoch text,
	out head bigint,
	out head_check bigint,
	out common bigint,
	out origin text
)
language plpgsql as $$
begin
	listen postern_log; -- takes effect at the commit; under the log lock nothing commits before that
	listen postern_control;
	listen postern_live;
	select b.head into head from log_begin() b;
	head_check := log_check(head);
	select value into epoch from meta where key = 'epoch';
	origin := pg_postmaster_start_time() || ' '
		|| (select d.oid from pg_database d where d.datname = current_database());
	if p_epoch = epoch then
		for i in reverse coalesce(cardinality(p_known), 0) .. 1 loop
			if log_holds(p_known[i], p_checks[i]) then
				common := p_known[i];
				exit;
			end if;
		end loop;
	end if;
	perform node_beat(p_node);
end $$;
