-- SPDX-License-Identifier: MIT
-- The log: one number, one total order.
--
-- A transaction that changes anything synchronised calls log_begin() before it reads or locks anything else, counts what it
-- accepts, takes the positions head+1 … head+n, and ends with log_append(). Hence no position is ever filled in later, they commit in their order, and
-- what was checked can't be overtaken.

-- The log's advisory lock. Its holder is the only writer of the log.
create function log_lock_key() returns bigint
language sql immutable as $$ select 5788050871298354032 $$;

-- Waits for the log lock; gives the last position taken, and the time of whatever is written now, which never
-- runs backwards against the positions.
create function log_begin(out head bigint, out at timestamptz)
language plpgsql as $$
begin
	perform pg_advisory_xact_lock(log_lock_key());
	-- A statement of its own: its snapshot is younger than the lock.
	select b.upto, greatest(clock_timestamp(), b.at) into strict head, at from log_batch b order by b.upto desc limit 1;
end $$;

-- One line of a frame: position, kind, chats, user, two numbers, JSON.
--   chats  who hears of it: the members of these chats (comma-separated, - for none); ~ before it: a member frame for himself only
--   user   whom it is about: the sender, the member, the account (- for nobody); a member or user frame goes to him as well
--   a, b   message, deleted: a = the message's id, b = when its request was received (µs since 1970, 0 unknown)
--          member: a = since when he is a member (0: he isn't), b = his floor
--          chat: b = 1 when it is deleted
--          reaction: a = the message's id, b = hash of the emoji
create function frame_line(p_pos bigint, p_kind text, p_chats text, p_user text, p_a bigint, p_b bigint, p_json text) returns text
language sql stable as $$ -- not immutable, for concat() isn't, and then it would not be inlined
	select concat(p_pos, ' ', p_kind, ' ', p_chats, ' ', p_user, ' ', p_a, ' ', p_b, ' ', p_json, E'\n')
$$;

create function member_line(m member) returns text
language sql stable as $$
	select frame_line(m.rev, 'member', case when m.quiet then '~' else '' end || m.chat_id, m.name, case m.state when 'joined' then m.since else 0 end, m.floor, member_json(m)::text)
$$;

create function chat_line(c chat) returns text
language sql stable as $$
	select frame_line(c.rev, 'chat', c.id::text, '-', 0, case c.state when 'deleted' then 1 else 0 end, chat_json(c)::text)
$$;

create function reaction_line(r reaction) returns text
language sql stable as $$
	select frame_line(r.rev, 'reaction', r.chat_id::text, r.name, r.message_id, hashtextextended(r.emoji, 0), reaction_json(r))
$$;

-- A change of an account is for him and for everyone who shares a chat with him; that it was deleted also for where he was before: he stands
-- there as the author of what he wrote.
create function account_line(a account) returns text
language sql stable as $$
	select frame_line(a.rev, 'user',
		coalesce((select string_agg(m.chat_id::text, ',') from member m where m.name = a.name and (m.state = 'joined' or a.state = 'deleted')), '-'),
		a.name, 0, 0, account_json(a)::text)
$$;

-- A text in pieces of at most p_room bytes, cut between characters.
create function cut(p_text text, p_room int) returns text[]
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
		while next <= length(bytes) and get_byte(bytes, next - 1) & 192 = 128 loop -- not within a character
			next := next - 1;
		end loop;
		pieces := pieces || convert_from(substr(bytes, start, next - start), 'UTF8');
		start := next;
	end loop;
	return pieces;
end $$;

-- 32 bits that tell a row of log_batch from the row which holds the same position in another history (a backup that was put back, a standby
-- that lacked the last commits). The random mark alone would do; the time is for rows from before there were marks.
create function batch_check(p_at timestamptz, p_mark int) returns bigint
language sql stable as $$
	select ((extract(epoch from p_at) * 1000000)::bigint # coalesce(p_mark, 0)::bigint) & 4294967295
$$;

-- The check of a position: that of the row which holds it. Null: it lies beyond the head.
create function log_check(p_pos bigint) returns bigint
language plpgsql stable as $$
begin
	return (select batch_check(b.at, b.mark) from log_batch b where b.upto >= p_pos order by b.upto limit 1);
end $$;

-- Whether the position p_pos of the history that had p_check there is in this history, and with it everything before.
create function log_holds(p_pos bigint, p_check bigint) returns boolean
language plpgsql stable as $$
begin
	return coalesce(log_check(p_pos) = p_check, false);
end $$;

-- The head and its check, for a read on a standby: see reaches().
create function log_tip(out head bigint, out "check" bigint)
language sql stable as $$ select log_head(), log_check(log_head()) $$;

-- Whether what is read here is at least as new as the position p_pos of the primary, whose check was p_check there; null:
-- it is the primary that is asked.
create function reaches(p_pos bigint, p_check bigint) returns boolean
language sql stable as $$ select p_pos is null or log_holds(p_pos, p_check) $$;

-- The text of a cursor: the epoch, the check as 8 hexadecimal digits, a dot, the position. The same as cursor_print() in src/log/cursor.c. Nodes from
-- before there were checks take epoch and check together for a foreign epoch: they answer with a reset.
create function cursor_text(p_epoch text, p_pos bigint, p_check bigint) returns text
language sql immutable as $$
	select p_epoch || lpad(to_hex(p_check), 8, '0') || '.' || p_pos
$$;

-- Ends what log_begin() began: p_lines are the frames of the positions p_from … p_upto, in order. They go out as notifications whose
-- first line is "from upto part parts node"; what follows, put together over all parts, is the lines. A payload must stay below 8,000 bytes.
-- The first of the lines is for nobody and says where the batch belongs: a is its check, b that of the batch before. (Nodes from before
-- there were checks drop it, as they know its position.) Gives these two.
--   p_before  the check of the batch before, from who has read its row anyway; null: it is looked up
create function log_append(p_from bigint, p_upto bigint, p_at timestamptz, p_lines text, p_node text default '-',
	p_before bigint default null) returns text
language plpgsql as $$
declare
	v_parts text[];
	v_mark int := random() * 4294967295 - 2147483648;
	v_checks text;
begin
	if p_before is null then
		select batch_check(b.at, b.mark) into strict p_before from log_batch b where b.upto = p_from - 1;
	end if;
	v_checks := batch_check(p_at, v_mark) || ' ' || p_before;
	insert into log_batch (upto, at, mark) values (p_upto, p_at, v_mark);
	p_lines := concat(greatest(p_from - 1, 1), ' user - - ', v_checks, E' \n', p_lines);
	if octet_length(p_lines) <= 7900 then
		if pg_notify('postern_log', p_from || ' ' || p_upto || ' 1 1 ' || p_node || E'\n' || p_lines) is null then -- cheaper than PERFORM
		end if;
		return v_checks;
	end if;
	v_parts := cut(p_lines, 7900);
	for i in 1 .. cardinality(v_parts) loop
		perform pg_notify('postern_log', p_from || ' ' || p_upto || ' ' || i || ' ' || cardinality(v_parts) || ' ' || p_node || E'\n' || v_parts[i]);
	end loop;
	return v_checks;
end $$;

create function log_head() returns bigint
language sql stable as $$
	select upto from log_batch order by upto desc limit 1
$$;

-- The last position taken before that time; null: none that is kept. Times ascend with positions: the interval is halved, for there may be
-- hundreds of millions of rows, and an index by time would be a cost of every send.
create function log_before(p_at timestamptz) returns bigint
language plpgsql stable as $$
declare
	v_row log_batch;
	v_low bigint; -- before that time
	v_high bigint := log_head(); -- what is above isn't
	v_mid bigint;
begin
	select b.* into v_row from log_batch b order by b.upto limit 1;
	if v_row.at >= p_at then
		return null;
	end if;
	v_low := v_row.upto;
	while v_low < v_high loop
		v_mid := v_low + (v_high - v_low + 1) / 2;
		select b.* into v_row from log_batch b where b.upto >= v_mid order by b.upto limit 1;
		if v_row.at < p_at then
			v_low := v_row.upto;
		else
			v_high := v_mid - 1;
		end if;
	end loop;
	return v_low;
end $$;

-- About how many bytes a frame of the message has. Nothing is fetched or decompressed for it: octet_length() of a text
-- knows, and of what is compressed it is a guess (pglz compresses ninefold at times, and ninetyfold at worst).
create function message_size(m message) returns int
language sql stable as $$
	select 400 + coalesce(octet_length(m.text), 0) + coalesce(pg_column_size(m.mentions), 0)
		+ coalesce(pg_column_size(m.content) * case when pg_column_compression(m.content) is null then 1 else 24 end, 0)
$$;

-- Everything whose latest change lies after p_after, in order, and a last row (head, its check, null): what a worker reads at
-- its start and when notifications are missing. One snapshot. p_most bounds the rows, p_bytes about their size, but one
-- position always comes whole; when either bites, the last row's pos is that of the last position which is complete. p_check
-- is that of p_after, null when it isn't known: in another history there are no rows at all.
--
-- Which messages the page has is known before any of their lines is made.
create function log_frames(p_after bigint, p_check bigint, p_most int, p_bytes bigint)
	returns table (pos bigint, "check" bigint, line text)
language sql stable rows 1000 as $$
	with frame as (
		(select m.rev as pos, message_size(m) as size, m.chat_id, m.id, null as line
			from message m where m.rev > p_after order by m.rev fetch first (p_most + 1) rows with ties)
		union all
		(select t.rev, 100, null, null, frame_line(t.rev, 'deleted', t.chat_id::text, '-', t.id, 0, tombstone_json(t))
			from tombstone t where t.rev > p_after order by t.rev fetch first (p_most + 1) rows with ties)
		union all
		(select m.rev, 300, null, null, member_line(m) from member m where m.rev > p_after
			order by m.rev fetch first (p_most + 1) rows with ties)
		union all
		(select c.rev, 600, null, null, chat_line(c) from chat c where c.rev > p_after
			order by c.rev fetch first (p_most + 1) rows with ties)
		union all
		(select r.rev, 200, null, null, reaction_line(r) from reaction r where r.rev > p_after
			order by r.rev fetch first (p_most + 1) rows with ties)
		union all
		(select a.rev, 600, null, null, account_line(a) from account a where a.rev > p_after
			order by a.rev fetch first (p_most + 1) rows with ties)
	), page as materialized (
		select f.*, row_number() over w > p_most or sum(f.size) over w > p_bytes as is_over, min(f.pos) over () as first
			from frame f window w as (order by f.pos rows unbounded preceding)
	), bound as materialized (
		select coalesce(min(page.pos) filter (where page.is_over and page.pos > page.first) - 1, log_head()) as upto
			from page
	), told as (
		(select page.pos, coalesce(page.line, (
				select frame_line(m.rev, 'message', m.chat_id::text, m.sender, m.id, 0, message_json(m)) from message m
					where m.chat_id = page.chat_id and m.id = page.id)) as line
			from page, bound where page.pos <= bound.upto order by page.pos)
		union all
		select bound.upto, null from bound
	)
	select told.pos, b.held, told.line from told, lateral (
			select batch_check(x.at, x.mark) as held from log_batch x where x.upto >= told.pos order by x.upto limit 1) b
		where p_check is null or log_holds(p_after, p_check)
$$;

-- The position after which the frames up to p_head have about p_bytes, and are p_most at most: from where on a worker's
-- ring is filled at its start.
create function log_recent(p_head bigint, p_bytes bigint, p_most int) returns bigint
language sql stable as $$
	with frame as (
		(select m.rev as pos, message_size(m) as size from message m where m.rev <= p_head
			order by m.rev desc limit p_most)
		union all
		(select t.rev, 400 from tombstone t where t.rev <= p_head order by t.rev desc limit p_most)
		union all
		(select m.rev, 600 from member m where m.rev <= p_head order by m.rev desc limit p_most)
		union all
		(select c.rev, 900 from chat c where c.rev <= p_head order by c.rev desc limit p_most)
		union all
		(select r.rev, 500 from reaction r where r.rev <= p_head order by r.rev desc limit p_most)
		union all
		(select a.rev, 900 from account a where a.rev <= p_head order by a.rev desc limit p_most)
	), total as (
		select f.pos, sum(f.size) over (order by f.pos desc) as bytes from frame f
	)
	select greatest(p_head - p_most, coalesce(max(total.pos) filter (where total.bytes > p_bytes), 0)) from total
$$;

-- A node's sign of life, every two seconds; gives the head, to be held against what the notifications told.
create function node_beat(p_node text) returns bigint
language sql as $$
	insert into node (name, functions) values (p_node, current_schema())
		on conflict (name) do update set seen_at = clock_timestamp();
	select log_head();
$$;

-- A worker's first word on its listener, and after every loss of it: listens, and gives the head it listens from. p_epoch is what it knew, null
-- at first; p_known are positions that it was told, ascending, with their checks: common is the last of them that this history holds too. Less
-- than the last says that the history was rewound (a backup put back, a standby that lacked the last commits). origin names the server.
create function node_attach(p_node text, p_epoch text, p_known bigint[], p_checks bigint[], out epoch text, out head bigint, out head_check bigint,
	out common bigint, out origin text)
language plpgsql as $$
begin
	listen postern_log; -- heard from this transaction's commit on; under the log lock nothing commits in between
	listen postern_control;
	listen postern_live;
	select b.head into head from log_begin() b;
	head_check := log_check(head);
	select value into epoch from meta where key = 'epoch';
	origin := pg_postmaster_start_time() || ' ' || (select d.oid from pg_database d where d.datname = current_database());
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
