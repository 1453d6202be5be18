-- SPDX-License-Identifier: MIT
-- The log: every change takes the next number, its position, in one total order.
--
-- A transaction that changes anything synchronised calls log_begin() before it reads or locks anything else,
-- checks what it has to check, takes the positions head + 1, head + 2, ..., and ends with log_append(). The
-- log lock is held until the commit. So positions commit in their order, without holes, and no check can be
-- overtaken by a concurrent change.

-- The key of the log's advisory lock. The session that holds the lock is the only writer of the log.
-- Callers: log_begin(), log_probe(), probe_locked(), send(), send_one().
create function log_lock_key() returns bigint
language sql immutable as $$ select 5788050871298354032 $$;

-- Takes the log lock. Returns the last position in the log and the time to write with the new positions. The
-- time never runs backwards from one position to the next.
-- Callers: every function that writes to the log.
-- Locks: the log lock.
create function log_begin(out head bigint, out at timestamptz)
language plpgsql as $$
begin
	perform pg_advisory_xact_lock(log_lock_key());
	-- A statement of its own, so that its snapshot is taken after the lock.
	select b.upto, greatest(clock_timestamp(), b.at) into strict head, at
	from log_batch b
	order by b.upto desc
	limit 1;
end $$;

-- Splits a text into pieces of at most p_room bytes. No character is split.
-- Callers: live_append(), log_append().
create function split_text(p_text text, p_room int) returns text[]
language plpgsql immutable as $$
declare
	bytes bytea;
	pieces text[] := '{}';
	start int := 1;
	next int;
begin
	if octet_length(p_text) <= p_room then
		return array[p_text];
	end if;
	bytes := convert_to(p_text, 'UTF8');
	while start <= length(bytes) loop
		next := least(start + p_room, length(bytes) + 1);
		-- don't split a character
		while next <= length(bytes) and get_byte(bytes, next - 1) & 192 = 128 loop
			next := next - 1;
		end loop;
		pieces := pieces || convert_from(substr(bytes, start, next - start), 'UTF8');
		start := next;
	end loop;
	return pieces;
end $$;

-- Ends what log_begin() began: adds a row to log_batch and publishes the frame lines with NOTIFY postern_log
-- (doc/protocols.md, "Log notification"). Returns "check previous-check": the check of this batch and that of
-- the batch before it.
--   p_from, p_upto  the positions of the batch
--   p_at            the time from log_begin()
--   p_lines         the frame lines of these positions, in order
--   p_node          the node that sent the batch; - for none
--   p_before        the check of the batch before; null: it is read here
-- Callers: every function that writes to the log.
-- Locks: the caller holds the log lock.
create function log_append(
	p_from bigint,
	p_upto bigint,
	p_at timestamptz,
	p_lines text,
	p_node text default '-',
	p_before bigint default null
) returns text
language plpgsql as $$
declare
	v_parts text[];
	v_mark int := random() * 4294967295 - 2147483648;
	v_checks text;
begin
	if p_before is null then
		select batch_check(b.at, b.mark) into strict p_before
		from log_batch b
		where b.upto = p_from - 1;
	end if;
	v_checks := batch_check(p_at, v_mark) || ' ' || p_before;
	insert into log_batch (upto, at, mark) values (p_upto, p_at, v_mark);
	p_lines := concat(greatest(p_from - 1, 1), ' user - - ', v_checks, E' \n', p_lines);
	if octet_length(p_lines) <= 7900 then
		-- cheaper than PERFORM
		if pg_notify(
			'postern_log', p_from || ' ' || p_upto || ' 1 1 ' || p_node || E'\n' || p_lines
		) is null then
		end if;
		return v_checks;
	end if;
	v_parts := split_text(p_lines, 7900);
	for i in 1 .. cardinality(v_parts) loop
		perform pg_notify(
			'postern_log',
			p_from || ' ' || p_upto || ' ' || i || ' ' || cardinality(v_parts) || ' ' || p_node
				|| E'\n' || v_parts[i]
		);
	end loop;
	return v_checks;
end $$;

-- The last position in the log.
-- Callers: the functions that read the log or a position from a client.
create function log_head() returns bigint
language sql stable as $$
	select upto from log_batch order by upto desc limit 1
$$;

-- The last position taken before p_at; null if no such row is kept. Times ascend with positions, so this is a
-- binary search by position. The table can have hundreds of millions of rows, and an index by time would cost
-- every send.
-- Caller: upkeep().
create function log_before(p_at timestamptz) returns bigint
language plpgsql stable as $$
declare
	v_row log_batch;
	v_low bigint; -- is before p_at
	v_high bigint := log_head(); -- no position above it is before p_at
	v_mid bigint;
begin
	select b.* into v_row from log_batch b order by b.upto limit 1;
	if v_row.at >= p_at then
		return null;
	end if;
	v_low := v_row.upto;
	while v_low < v_high loop
		v_mid := v_low + (v_high - v_low + 1) / 2;
		select b.* into v_row
		from log_batch b
		where b.upto >= v_mid
		order by b.upto
		limit 1;
		if v_row.at < p_at then
			v_low := v_row.upto;
		else
			v_high := v_mid - 1;
		end if;
	end loop;
	return v_low;
end $$;
