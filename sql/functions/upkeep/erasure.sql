-- SPDX-License-Identifier: MIT
-- Removes what deleted accounts leave in chats: one chat after the other, in small steps that each commit. So
-- nobody waits long, and a crash loses nothing.

-- Takes a deleted account out of a chat. A group goes on with another owner, or is deleted with its last
-- member. A direct chat keeps the account as a member, but nobody can write to it; it is deleted when both
-- accounts are.
-- Caller: erasure_step().
-- Locks: the log lock.
-- Errors: none: the account's user may always leave.
create function erase_membership(p_name text, p_chat bigint) returns void
language plpgsql as $$
declare
	v record;
	v_chat chat;
begin
	v := log_begin();
	select c.* into v_chat from chat c where c.id = p_chat and c.state = 'active';
	if v_chat.kind = 'direct' then
		update chat c set abandoned = true, barred = false where c.id = p_chat;
	elsif exists (
		select from member m where m.chat_id = p_chat and m.name = p_name and m.state = 'joined'
	) then
		perform member_delete(p_name, p_chat::text, p_name);
	end if;
	if v_chat.id is not null
		and not exists (
			select
			from member m
			join account a on a.name = m.name and a.state <> 'deleted'
			where m.chat_id = p_chat and m.state = 'joined'
		)
	then
		v := log_begin();
		v_chat := chat_set_deleted(p_chat, v.head + 1);
		if v_chat.id is not null then -- member_delete() has not deleted it already
			perform log_append(v_chat.rev, v_chat.rev, v.at, chat_line(v_chat));
		end if;
	end if;
end $$;

-- Deletes an account's messages in a chat. Looks at a few thousand messages after p_after; returns where to go
-- on, null at the end. System messages about the account stay.
-- Caller: erasure_step().
-- Locks: the log lock, taken when it is known what to delete.
create function erase_messages(p_name text, p_chat bigint, p_after bigint, p_most int) returns bigint
language plpgsql as $$
declare
	v record;
	v_seen int := 0;
	v_last bigint;
	v_ids bigint[] := '{}';
	v_message message;
	v_removed int := 0;
	v_lines text := '';
	v_until timestamptz;
	v_more boolean := false;
begin
	for v in
		select m.id, m.sender = p_name and m.type is distinct from 'system' as is_own
		from message m
		where m.chat_id = p_chat and m.id > p_after
		order by m.id
		limit 5000
	loop
		v_seen := v_seen + 1;
		v_last := v.id;
		if v.is_own then
			v_ids := v_ids || v.id;
			exit when cardinality(v_ids) = p_most;
		end if;
	end loop;
	if cardinality(v_ids) > 0 then
		v := log_begin();
		v_until := clock_timestamp() + interval '50 ms';
		v_more := v_seen = 5000 or cardinality(v_ids) = p_most;
		for v_message in
			select m.*
			from message m
			where m.chat_id = p_chat and m.id = any (v_ids)
			order by m.id
		loop
			if v_removed > 0 and clock_timestamp() > v_until then
				v_more := true;
				v_last := v_message.id - 1;
				exit;
			end if;
			v_removed := v_removed + 1;
			v_lines := v_lines || message_remove(v_message, v.head + v_removed);
		end loop;
		if v_removed > 0 then
			perform log_append(v.head + 1, v.head + v_removed, v.at, v_lines);
		end if;
	end if;
	return case when v_more or v_seen = 5000 then v_last end;
end $$;

-- Takes back an account's reactions in a chat, in order of their rev. Returns where to go on, null at the end.
-- Caller: erasure_step().
-- Locks: the log lock, taken when it is known what to change.
create function erase_reactions(p_name text, p_chat bigint, p_after bigint, p_most int) returns bigint
language plpgsql as $$
declare
	v record;
	v_seen int := 0;
	v_last bigint;
	v_revs bigint[] := '{}';
	v_reaction reaction;
	v_taken int := 0;
	v_lines text := '';
	v_until timestamptz;
	v_more boolean := false;
begin
	for v in
		select r.rev, r.name = p_name and r.active as is_own
		from reaction r
		where r.chat_id = p_chat and r.rev > p_after
		order by r.rev
		limit 5000
	loop
		v_seen := v_seen + 1;
		v_last := v.rev;
		if v.is_own then
			v_revs := v_revs || v.rev;
			exit when cardinality(v_revs) = p_most;
		end if;
	end loop;
	if cardinality(v_revs) > 0 then
		v := log_begin();
		v_until := clock_timestamp() + interval '50 ms';
		v_more := v_seen = 5000 or cardinality(v_revs) = p_most;
		for v_reaction in
			select r.*
			from reaction r
			where r.chat_id = p_chat and r.rev = any (v_revs)
			order by r.rev
		loop
			if v_taken > 0 and clock_timestamp() > v_until then
				v_more := true;
				v_last := v_reaction.rev - 1;
				exit;
			end if;
			v_taken := v_taken + 1;
			update reaction r
			set active = false, at = v.at, rev = v.head + v_taken
			where r.chat_id = p_chat
				and r.message_id = v_reaction.message_id
				and r.emoji = v_reaction.emoji
				and r.name = p_name
			returning * into v_reaction;
			perform reaction_uncount(p_chat, v_reaction.message_id, v_reaction.emoji);
			v_lines := v_lines || reaction_line(v_reaction);
		end loop;
		if v_taken > 0 then
			perform log_append(v.head + 1, v.head + v_taken, v.at, v_lines);
		end if;
	end if;
	return case when v_more or v_seen = 5000 then v_last end;
end $$;

-- One step for a deleted account. Returns false if there was nothing to do. Two minutes after the account is
-- done it is looked at once more, for transactions that were running when it was deleted.
--   p_removes  delete the account's messages and reactions too. The first step fixes this for the account.
--   p_most     how many messages or reactions at most; a step ends sooner after 50 ms
-- Caller: follow/erasure.c.
-- Locks: an advisory lock of its own, which is not waited for: one worker at a time works. The log lock, by
--   the functions it calls.
-- Errors: none.
create function erasure_step(p_removes boolean, p_most int) returns boolean
language plpgsql as $$
declare
	e erasure;
	v_chat bigint;
	v_state text;
	v_next bigint;
begin
	if not pg_try_advisory_xact_lock(5788050871298354035) then
		return false;
	end if;
	select x.* into e
	from erasure x
	where x.part <> 'settle' or x.deleted_at < clock_timestamp() - interval '2 minutes'
	order by x.part = 'settle', x.deleted_at
	limit 1;
	if not found then
		return false;
	end if;
	if e.removes is null then -- a step of its own, like 'marks': no row may be locked before the log
		update erasure x set removes = p_removes where x.name = e.name;
		perform account_clear(e.name);
		return true;
	end if;
	select m.chat_id, c.state into v_chat, v_state
	from member m
	join chat c on c.id = m.chat_id
	where m.name = e.name and m.chat_id > e.chat_id
	order by m.chat_id
	limit 1;
	if found and v_state = 'active' then
		case e.part
		when 'marks' then
			delete from watermark w where w.chat_id = v_chat and w.name = e.name;
			delete from thread_mark t where t.chat_id = v_chat and t.name = e.name;
		when 'messages' then
			v_next := erase_messages(e.name, v_chat, e.after, p_most);
		when 'reactions' then
			v_next := erase_reactions(e.name, v_chat, e.after, p_most);
		else
			perform erase_membership(e.name, v_chat);
		end case;
		e.after := coalesce(v_next, 0);
		if v_next is null then
			e.part := case
				when e.part = 'messages' then 'reactions'
				when e.part = 'reactions' then 'leave'
				when e.part <> 'marks' then 'marks'
				when e.removes then 'messages'
				else 'leave'
			end;
			e.chat_id := case e.part when 'leave' then v_chat else e.chat_id end;
		end if;
	elsif v_chat is not null then -- the chat is deleted anyway
		e.chat_id := v_chat;
		e.part := 'leave';
		e.after := 0;
	elsif e.part <> 'settle' then
		delete from mention
		where ctid = any (array(
			select n.ctid from mention n where n.name = e.name and n.name <> '@all' limit 1000
		));
		if not found then
			e.part := 'settle';
		end if;
	else
		perform account_clear(e.name);
		if not exists (
			select
			from member m
			join chat c on c.id = m.chat_id and c.state = 'active' and c.kind <> 'direct'
			where m.name = e.name and m.state = 'joined'
		) then
			delete from erasure x where x.name = e.name;
			return true;
		end if;
		e.part := 'leave';
		e.chat_id := 0;
		e.deleted_at := clock_timestamp();
	end if;
	update erasure x
	set removes = e.removes, chat_id = e.chat_id, part = e.part, after = e.after,
		deleted_at = e.deleted_at
	where x.name = e.name;
	return true;
end $$;

-- Puts the account that erasure_step() works on behind all others, because its step fails whenever it is tried. Returns
-- which account that is; null if there is nothing to do.
-- Caller: follow/erasure.c.
-- Locks: the account's row of erasure.
create function erasure_skip() returns text
language sql as $$
	update erasure e
	set deleted_at = clock_timestamp()
	where e.name = (
		select x.name
		from erasure x
		where x.part <> 'settle' or x.deleted_at < clock_timestamp() - interval '2 minutes'
		order by x.part = 'settle', x.deleted_at
		limit 1
	)
	returning 'account ' || e.name
$$;
