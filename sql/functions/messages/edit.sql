-- SPDX-License-Identifier: MIT
-- Reads, edits and deletes single messages.

-- Returns a message.
-- Caller: GET /v1/chats/{chat}/messages/{id}.
-- Errors: 404 not_found; 410 gone.
create function message_get(p_me text, p_chat text, p_id bigint) returns table (rev bigint, body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
	v_message message := message_of(v_member, p_id);
begin
	return query select v_message.rev, message_view(v_message, v_member.floor);
end $$;

-- Edits a message. Only its sender may, while they may write in the chat. Null leaves text and content as they
-- are; an empty text is none, which only a message with a type may have.
--   p_revs   the revs of If-Match; null if there is none
--   p_names  the names in p_text: see mentions_in()
-- Caller: PATCH /v1/chats/{chat}/messages/{id}.
-- Locks: the log lock.
-- Errors: 403 blocked, forbidden, muted; 404 not_found; 410 gone; 412 stale; 422 empty_text.
create function message_edit(
	p_me text,
	p_chat text,
	p_id bigint,
	p_text text,
	p_content text,
	p_revs bigint[],
	p_names text
) returns table (pos bigint, rev bigint, body text)
language plpgsql as $$
declare
	v record;
	v_member member;
	v_message message;
begin
	v := log_begin();
	v_member := membership(p_me, chat_of(p_me, p_chat));
	v_message := message_of(v_member, p_id);
	if v_message.sender <> p_me or v_message.type = 'system' or v_message.forwarded is not null then
		perform refuse(
			'forbidden',
			'Only who wrote a message may edit it, and nobody what is the server''s or was forwarded.'
		);
	end if;
	perform require_writer(v_member, v.at);
	if v_message.rev <> all (p_revs) then
		perform refuse(
			'stale',
			format('The message has changed since: its rev is %s now.', v_message.rev)
		);
	end if;
	if (p_text is null and p_content is null)
		or (
			v_message.type is null
			and (coalesce(p_text, '') = '' or p_content is not null)
		)
	then
		perform refuse('empty_text', 'An edit needs the new text.');
	end if;
	perform version_keep(v_message);
	if p_text is not null and (v_message.mentions is not null or p_names is not null) then
		perform mentions_remove(v_message.chat_id, p_id, v_message.mentions);
		v_message.mentions := mentions_in(v_message.chat_id, p_me, v_member.role, p_names);
		perform mentions_add(v_message.chat_id, p_id, v_message.mentions);
	end if;
	update message m
	set text = nullif(coalesce(p_text, m.text), ''), content = coalesce(p_content::jsonb, m.content),
		mentions = v_message.mentions, edited_at = v.at, rev = v.head + 1
	where m.chat_id = v_message.chat_id and m.id = p_id
	returning * into v_message;
	perform log_append(
		v.head + 1, v.head + 1, v.at,
		frame_line(
			v_message.rev, 'message', v_message.chat_id::text, p_me, p_id, 0,
			message_json(v_message)
		)
	);
	return query select v_message.rev, v_message.rev, message_json(v_message);
end $$;

-- The membership of a member, or of who has left the chat by themselves.
-- Caller: message_delete().
-- Errors: 404 not_found.
create function deleter_of(p_me text, p_chat bigint) returns member
language plpgsql stable as $$
declare
	v_member member;
begin
	select m.* into v_member
	from member m
	join chat c on c.id = m.chat_id and c.state = 'active'
	where m.chat_id = p_chat and m.name = p_me and m.state = 'left';
	return case when found then v_member else membership(p_me, p_chat) end;
end $$;

-- Deletes a message: the row is removed, a tombstone stays. Its sender, the chat's owner and its admins may.
-- If two requests delete the same message, both succeed. Who has left the chat may still delete their own.
-- Caller: DELETE /v1/chats/{chat}/messages/{id}.
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found; 410 gone.
create function message_delete(p_me text, p_chat text, p_id bigint) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_member member;
	v_message message;
	v_tombstone tombstone;
begin
	v := log_begin();
	v_member := deleter_of(p_me, chat_of(p_me, p_chat));
	if v_member.state = 'left' and p_id > v_member.rev then -- nothing after they left concerns them
		perform refuse_absent();
	end if;
	select * into v_tombstone
	from tombstone t
	where t.chat_id = v_member.chat_id
		and t.id = p_id
		and p_id > v_member.floor;
	if found then
		return query select v_tombstone.rev, null::text;
		return;
	end if;
	v_message := message_of(v_member, p_id);
	if v_member.state = 'left' and (v_message.sender <> p_me or v_message.type = 'system') then
		perform refuse_absent();
	end if;
	if role_rank(v_member.role) < 2 and (v_message.sender <> p_me or v_message.type = 'system') then
		perform refuse(
			'forbidden',
			'Only who wrote a message, or an admin of the chat, may delete it.'
		);
	end if;
	if v_message.sender <> p_me then
		perform audit_add(
			v_message.chat_id, v.at, p_me, 'message_deleted', v_message.sender,
			jsonb_build_object('id', p_id)
		);
	end if;
	perform log_append(v.head + 1, v.head + 1, v.at, message_remove(v_message, v.head + 1));
	return query select v.head + 1, null::text;
end $$;
