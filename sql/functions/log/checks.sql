-- SPDX-License-Identifier: MIT
-- Checks: 32 bits a batch that tell one history of the log from another.
--
-- After a restore or a lossy failover the database can hold other rows at positions that a worker or a client
-- has seen before. The check of a position differs then. It shows that a cursor belongs to another history.

-- The check of a batch: its time combined with its random mark. The mark alone would do; the time is for rows
-- that were written before there were marks.
-- Callers: log_append(), log_check(), log_frames(), replay(), send(), send_one().
create function batch_check(p_at timestamptz, p_mark int) returns bigint
language sql stable as $$
	select ((extract(epoch from p_at) * 1000000)::bigint # coalesce(p_mark, 0)::bigint) & 4294967295
$$;

-- The check of a position: that of the batch which holds it. Null if the position is beyond the head.
-- Callers: log_holds(), log_look(), log_tip(), node_attach(), subscribe(), sync().
create function log_check(p_pos bigint) returns bigint
language plpgsql stable as $$
begin
	return (
		select batch_check(b.at, b.mark)
		from log_batch b
		where b.upto >= p_pos
		order by b.upto
		limit 1
	);
end $$;

-- Returns true if position p_pos of the history that had p_check there is in this history. Then everything
-- before the position is too.
-- Callers: log/tail.c, log_frames(), node_attach(), reaches(), replay().
create function log_holds(p_pos bigint, p_check bigint) returns boolean
language plpgsql stable as $$
begin
	return coalesce(log_check(p_pos) = p_check, false);
end $$;

-- The head and its check. A read on a standby is compared with them; see reaches().
-- Caller: pg/replica.c.
create function log_tip(out head bigint, out "check" bigint)
language sql stable as $$ select log_head(), log_check(log_head()) $$;

-- Returns true if this database is at least as new as position p_pos of the primary, which had p_check there.
-- p_pos is null on the primary; the result is true then.
-- Callers: hub/replay.c, api/pages.c.
create function reaches(p_pos bigint, p_check bigint) returns boolean
language sql stable as $$ select p_pos is null or log_holds(p_pos, p_check) $$;

-- The text of a cursor: the epoch, the check as 8 hexadecimal digits, a dot, the position. cursor_print() in
-- src/log/cursor.c writes the same. Nodes from before there were checks read epoch and check as an unknown
-- epoch and answer with a reset.
-- Caller: sync().
create function cursor_text(p_epoch text, p_pos bigint, p_check bigint) returns text
language sql immutable as $$
	select p_epoch || lpad(to_hex(p_check), 8, '0') || '.' || p_pos
$$;
