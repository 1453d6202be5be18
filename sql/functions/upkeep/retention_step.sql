-- SPDX-License-Identifier: MIT
-- Retention: the follower that deletes the messages.

-- For how many seconds the oldest messages have been overdue; null: none are.
-- Callers: retention_json(), retention_step().
create function retention_behind() returns bigint
language sql stable as $$
	select nullif(
		floor(greatest(
			extract(
				epoch from clock_timestamp() - least((
					select d.due_at from retention_due d order by d.due_at limit 1
				), (
					select d.behind_since
					from retention_due d
					where d.behind_since is not null
					order by d.behind_since
					limit 1
				))
			),
			0
		))::bigint,
		0
	)
$$;

-- Sets the retention of all chats on the next p_chunk chats.
--   deliveries  the most events that members receive
-- Caller: retention_step().
-- Locks: the log lock.
create function retention_apply(p_chunk int, out deliveries bigint)
language plpgsql as $$
declare
	v record := log_begin();
	v_from bigint := (select m.value::bigint from meta m where m.key = 'retention_from');
	v_all int := retention_for_all();
	v_seen int := 0;
	v_pos bigint := v.head;
	v_lines text := '';
	v_chat record;
begin
	deliveries := 0;
	for v_chat in
		select c.id, c.state, c.members_count, c.retention,
			coalesce(c.retention_own, v_all) as retention_now
		from chat c
		where c.id > v_from
		order by c.id
		limit p_chunk
	loop
		v_seen := v_seen + 1;
		v_from := v_chat.id;
		if v_chat.state = 'active' and v_chat.retention is distinct from v_chat.retention_now then
			v_pos := v_pos + 1;
			deliveries := deliveries + v_chat.members_count;
			v_lines := v_lines
				|| retention_set_chat(v_chat.id, v_chat.retention_now, v.at, v_pos);
		end if;
	end loop;
	if v_seen < p_chunk then
		delete from meta where key = 'retention_from';
	else
		update meta set value = v_from::text where key = 'retention_from';
	end if;
	if v_pos > v.head then
		perform log_append(v.head + 1, v_pos, v.at, v_lines);
	end if;
end $$;

-- Deletes up to p_chunk messages, or those of 50 ms, of the chats
-- that are due, the chat that has been due longest first. A chat
-- that has more left goes behind the others. A chat is due again when its next message is, but not sooner than
-- after a sixtieth of its retention (at most an hour), so that messages are deleted in batches.
--   removed     how many messages were deleted
--   deliveries  the most events that members receive, over all messages
-- Caller: retention_step().
-- Locks: the log lock.
create function retention_remove(p_chunk int, out removed int, out deliveries bigint)
language plpgsql as $$
declare
	v record := log_begin();
	v_until timestamptz := clock_timestamp() + interval '50 ms';
	v_lines text := '';
	v_due record;
	v_message message;
	v_gone bigint;
	v_next timestamptz;
begin
	removed := 0;
	deliveries := 0;
	for v_due in
		select d.*, c.retention * interval '1 s' as retention, c.state, c.members_count
		from retention_due d
		join chat c on c.id = d.chat_id
		where d.due_at <= v.at
		order by d.due_at
		limit 50
	loop
		if v_due.state = 'deleted' then
			delete from retention_due d where d.chat_id = v_due.chat_id;
			continue;
		end if;
		v_gone := v_due.gone;
		for v_message in
			select x.*
			from message x
			where x.chat_id = v_due.chat_id and x.id > v_due.gone
			order by x.id
			limit p_chunk - removed
		loop
			exit when v_message.at > v.at - v_due.retention -- the following ones are younger
				or (removed > 0 and clock_timestamp() > v_until);
			removed := removed + 1;
			deliveries := deliveries + v_due.members_count;
			v_gone := v_message.id;
			v_lines := v_lines || message_remove(v_message, v.head + removed);
		end loop;
		delete from report r
		where r.chat_id = v_due.chat_id
			and r.resolved_at is not null
			and (r.message ->> 'at')::timestamptz <= v.at - v_due.retention;
		select m.at + v_due.retention into v_next
		from message m
		where m.chat_id = v_due.chat_id and m.id > v_gone
		order by m.id
		limit 1;
		update retention_due d
		set gone = v_gone,
			behind_since = case when v_next <= v.at then coalesce(d.behind_since, d.due_at) end,
			due_at = case
				when v_next <= v.at then v.at
				else greatest(
					coalesce(v_next, v.at + v_due.retention),
					v.at + least(v_due.retention / 60, interval '1 hour')
				)
			end
		where d.chat_id = v_due.chat_id;
		exit when removed = p_chunk or clock_timestamp() > v_until;
	end loop;
	if removed > 0 then
		perform log_append(v.head + 1, v.head + removed, v.at, v_lines);
	end if;
end $$;

-- A step of the retention's follower. Returns how many messages were deleted, whether there is more to do now,
-- retention_behind(), and the most events that members receive.
-- Caller: follow/retention.c.
-- Locks: an advisory lock of its own, which is not waited for: one node at a time works. The log lock, only if
--   there is something to do.
create function retention_step(
	p_chunk int,
	out removed int,
	out more boolean,
	out behind bigint,
	out deliveries bigint
)
language plpgsql as $$
begin
	removed := 0;
	deliveries := 0;
	more := false;
	if pg_try_advisory_xact_lock(5788050871298354037) then
		if exists (select from meta where key = 'retention_from') then
			deliveries := retention_apply(p_chunk);
			more := true;
		elsif exists (select from retention_due d where d.due_at <= statement_timestamp()) then
			select r.removed, r.deliveries into removed, deliveries
			from retention_remove(p_chunk) r;
			more := exists (select from retention_due d where d.due_at <= clock_timestamp());
		end if;
	end if;
	behind := coalesce(retention_behind(), 0);
end $$;

-- Puts off what comes next and fails whenever it is tried: the chat that has been due longest, for an hour, or the
-- next chat that gets the retention of all chats, for good. Returns which; null if there is nothing to do.
-- Caller: follow/retention.c.
-- Locks: the chat's row of retention_due, or that of meta.
create function retention_skip() returns text
language plpgsql as $$
declare
	v_chat bigint;
begin
	if exists (select from meta where key = 'retention_from') then
		select c.id into v_chat
		from chat c
		where c.id > (select m.value::bigint from meta m where m.key = 'retention_from')
		order by c.id
		limit 1;
		update meta set value = v_chat::text where key = 'retention_from' and v_chat is not null;
	else
		update retention_due d
		set due_at = clock_timestamp() + interval '1 hour'
		where d.chat_id = (
			select x.chat_id
			from retention_due x
			where x.due_at <= statement_timestamp()
			order by x.due_at
			limit 1
		)
		returning d.chat_id into v_chat;
	end if;
	return 'chat ' || v_chat;
end $$;
