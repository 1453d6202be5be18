-- SPDX-License-Identifier: MIT
-- Removes messages, with everything that refers to them.

-- Deletes a message and leaves its tombstone at p_pos. Returns the tombstone's frame line. Whatever deletes a
-- message must call this function.
-- Callers: erase_messages(), message_delete(), messages_expire(), report_resolve(), retention_remove().
-- Locks: the caller holds the log lock.
create function message_remove(p_message message, p_pos bigint) returns text
language plpgsql as $$
declare
	v_tombstone tombstone;
begin
	delete from message m where m.chat_id = p_message.chat_id and m.id = p_message.id;
	if p_message.thread is not null then
		perform thread_uncount_reply(p_message.chat_id, p_message.thread);
	end if;
	if p_message.replies is not null
		and exists (
			select
			from message m
			where m.chat_id = p_message.chat_id and m.thread = p_message.id
		)
	then
		insert into thread_rootless values (p_message.chat_id, p_message.id) on conflict do nothing;
	else
		delete from thread_mark t where t.chat_id = p_message.chat_id and t.thread = p_message.id;
	end if;
	if p_message.mentions is not null then
		perform mentions_remove(p_message.chat_id, p_message.id, p_message.mentions);
	end if;
	delete from reaction r where r.chat_id = p_message.chat_id and r.message_id = p_message.id;
	delete from message_version v where v.chat_id = p_message.chat_id and v.id = p_message.id;
	insert into tombstone values (p_message.chat_id, p_message.id, p_pos) returning * into v_tombstone;
	return frame_line(
		p_pos, 'deleted', p_message.chat_id::text, '-', p_message.id, 0, tombstone_json(v_tombstone)
	);
end $$;

-- Deletes up to p_chunk messages, or those of 50 ms, whose message_ttl is over. Returns how many, and in how many
-- ms the next one
-- is due (null: none is). If several workers call it, the later ones find nothing left.
-- Caller: follow/upkeep.c.
-- Locks: the log lock, only if there is something to delete.
create function messages_expire(p_chunk int, out removed int, out next_ms bigint)
language plpgsql as $$
declare
	v record;
	v_message message;
	v_lines text := '';
	v_until timestamptz;
begin
	removed := 0;
	if exists (select from message m where m.expires_at <= statement_timestamp()) then
		v := log_begin();
		v_until := clock_timestamp() + interval '50 ms';
		for v_message in
			select m.*
			from message m
			where m.expires_at <= v.at
			order by m.expires_at
			limit p_chunk
		loop
			exit when removed > 0 and clock_timestamp() > v_until;
			removed := removed + 1;
			v_lines := v_lines || message_remove(v_message, v.head + removed);
		end loop;
		if removed > 0 then
			perform log_append(v.head + 1, v.head + removed, v.at, v_lines);
		end if;
	end if;
	select ceil(extract(epoch from m.expires_at - clock_timestamp()) * 1000) into next_ms
	from message m
	where m.expires_at is not null
	order by m.expires_at
	limit 1;
end $$;

-- Puts off for an hour the message whose message_ttl was over first, because it fails whenever it is deleted. Returns
-- which one that is; null if none is due.
-- Caller: follow/upkeep.c.
-- Locks: the message's row.
create function messages_expire_skip() returns text
language sql as $$
	update message m
	set expires_at = clock_timestamp() + interval '1 hour'
	from (
		select x.chat_id, x.id
		from message x
		where x.expires_at <= statement_timestamp()
		order by x.expires_at
		limit 1
	) due
	where m.chat_id = due.chat_id and m.id = due.id
	returning 'message ' || m.id || ' of chat ' || m.chat_id
$$;

-- Removes what belongs to messages: reactions that were taken back up to the horizon (null: not known yet),
-- and everything of deleted chats. Returns the number of rows removed.
-- Caller: upkeep().
create function messages_upkeep(p_horizon bigint, p_chunk int) returns int
language plpgsql as $$
declare
	v_removed int := 0;
	v_n int;
begin
	-- active is checked again, because a concurrent request may have set it.
	delete from reaction
	where ctid = any (array(
		select r.ctid from reaction r where r.rev <= p_horizon and not r.active limit p_chunk
	))
		and not active;
	get diagnostics v_n = row_count;
	v_removed := v_removed + v_n;
	delete from reaction
	where ctid = any (array(
		select x.ctid
		from chat c, lateral (select r.ctid from reaction r where r.chat_id = c.id limit p_chunk) x
		where c.state = 'deleted'
		limit p_chunk
	));
	get diagnostics v_n = row_count;
	v_removed := v_removed + v_n;
	delete from mention
	where ctid = any (array(
		select x.ctid
		from chat c, lateral (select n.ctid from mention n where n.chat_id = c.id limit p_chunk) x
		where c.state = 'deleted'
		limit p_chunk
	));
	get diagnostics v_n = row_count;
	v_removed := v_removed + v_n;
	delete from message_version
	where ctid = any (array(
		select x.ctid
		from chat c,
			lateral (
				select v.ctid from message_version v where v.chat_id = c.id limit p_chunk
			) x
		where c.state = 'deleted'
		limit p_chunk
	));
	get diagnostics v_n = row_count;
	v_removed := v_removed + v_n;
	delete from thread_rootless
	where ctid = any (array(
		select x.ctid
		from chat c,
			lateral (
				select t.ctid from thread_rootless t where t.chat_id = c.id limit p_chunk
			) x
		where c.state = 'deleted'
		limit p_chunk
	));
	get diagnostics v_n = row_count;
	v_removed := v_removed + v_n;
	delete from thread_mark
	where ctid = any (array(
		select x.ctid
		from chat c,
			lateral (select t.ctid from thread_mark t where t.chat_id = c.id limit p_chunk) x
		where c.state = 'deleted'
		limit p_chunk
	));
	get diagnostics v_n = row_count;
	v_removed := v_removed + v_n;
	return v_removed;
end $$;
