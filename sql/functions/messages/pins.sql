-- SPDX-License-Identifier: MIT
-- Pinned messages.

-- Adds a pin to the audit trail. A direct chat has none.
-- Callers: pin_delete(), pin_put().
create function pin_audit(p_member member, p_at timestamptz, p_act text, p_id bigint) returns void
language sql as $$
	select audit_add(p_member.chat_id, p_at, p_member.name, p_act, null, jsonb_build_object('id', p_id))
	where role_rank(p_member.role) >= 2
$$;

-- The caller's membership, if they may pin in this chat: the owner and admins, or both users of a direct chat.
-- Callers: pin_delete(), pin_put().
-- Locks: the caller holds the log lock.
-- Errors: 403 blocked, forbidden; 404 not_found.
create function require_pinner(p_me text, p_chat text) returns member
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
begin
	if role_rank(v_member.role) < 2
		and not exists (select from chat c where c.id = v_member.chat_id and c.kind = 'direct')
	then
		perform refuse('forbidden', 'Only the owner or an admin may pin here.');
	end if;
	perform require_unbarred(v_member.chat_id);
	return v_member;
end $$;

-- Pins a message. Pinning it again changes nothing.
-- Caller: PUT /v1/chats/{chat}/messages/{id}/pin.
-- Locks: the log lock.
-- Errors: 403 blocked, forbidden; 404 not_found; 410 gone.
create function pin_put(p_me text, p_chat text, p_id bigint) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_member member;
	v_message message;
	v_system record;
	v_pos bigint;
begin
	v := log_begin();
	v_member := require_pinner(p_me, p_chat);
	v_message := message_of(v_member, p_id);
	v_pos := v_message.rev;
	if v_message.pinned is null then
		update message m
		set pinned = jsonb_build_object('by', p_me, 'at', stamp(v.at)), rev = v.head + 1
		where m.chat_id = v_message.chat_id and m.id = p_id
		returning m.* into v_message;
		perform pin_audit(v_member, v.at, 'message_pinned', p_id);
		v_system := system_messages(
			v_message.chat_id, v.head + 2, v.at, p_me,
			jsonb_build_object('code', 'message_pinned', 'id', p_id)
		);
		perform log_append(
			v.head + 1, v_system.upto, v.at, message_line(v_message, p_me) || v_system.lines
		);
		v_pos := v_system.upto;
	end if;
	return query select v_pos, message_json(v_message);
end $$;

-- Unpins a message. Succeeds if it isn't pinned.
-- Caller: DELETE /v1/chats/{chat}/messages/{id}/pin.
-- Locks: the log lock.
-- Errors: 403 blocked, forbidden; 404 not_found; 410 gone.
create function pin_delete(p_me text, p_chat text, p_id bigint) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_member member;
	v_message message;
begin
	v := log_begin();
	v_member := require_pinner(p_me, p_chat);
	v_message := message_of(v_member, p_id);
	if v_message.pinned is not null then
		update message m
		set pinned = null, rev = v.head + 1
		where m.chat_id = v_message.chat_id and m.id = p_id
		returning m.* into v_message;
		perform pin_audit(v_member, v.at, 'message_unpinned', p_id);
		perform log_append(v.head + 1, v.head + 1, v.at, message_line(v_message, p_me));
	end if;
	return query select v_message.rev, null::text;
end $$;

-- Lists pinned messages, the latest message first. The cursor is the last id of the page before.
-- Caller: GET /v1/chats/{chat}/pins.
-- Errors: 404 not_found.
create function pins(p_me text, p_chat text, p_cursor bigint, p_limit int) returns table (body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
begin
	return query
		with page as (
			select m
			from message m
			where m.chat_id = v_member.chat_id
				and m.pinned is not null
				and m.id > v_member.floor
				and m.id < coalesce(p_cursor, 9223372036854775807)
			order by m.id desc
			limit p_limit + 1
		), kept as (
			select x.m
			from (
				select p.m, row_number() over w as n, sum(message_size(p.m)) over w as bytes
				from page p
				window w as (order by (p.m).id desc)
			) x
			where x.n <= p_limit and (x.n = 1 or x.bytes <= page_bytes())
		)
		select '{"messages":['
			|| coalesce(
				string_agg(message_view(m, v_member.floor), ',' order by (m).id desc), ''
			)
			|| ']'
			|| case
				when (select count(*) from page) > count(*) then
					',"next":"' || min((m).id) || '"'
				else ''
			end
			|| '}'
		from kept;
end $$;
