-- SPDX-License-Identifier: MIT
-- Changes and deletes chats.

-- Refuses settings that a chat of this kind can't have, or that a member of this role may not change.
--   p_chat  the chat; null for a new one
-- Callers: chat_create(), chat_patch().
-- Locks: the caller holds the log lock.
-- Errors: 403 forbidden; 409 name_taken; 422 bad_chat, bad_name.
create function require_settings(
	p_chat bigint,
	p_role text,
	p_kind text,
	p_handle text,
	p_posting text,
	p_adding text
) returns void
language plpgsql stable as $$
begin
	if p_role <> 'owner' and num_nonnulls(p_handle, p_adding) > 0 then
		perform refuse(
			'forbidden',
			'Only the owner says who may add members, and whether a channel is public.'
		);
	end if;
	if p_kind = 'channel' and p_posting = 'members' then
		perform refuse('bad_chat', 'In a channel only the owner and admins post.');
	end if;
	if p_handle is not null and p_kind <> 'channel' then
		perform refuse('bad_chat', 'Only a channel has a public name.');
	end if;
	if p_handle <> '' and p_handle !~ '^[a-z0-9][a-z0-9_.-]{1,31}$' then
		perform refuse(
			'bad_name',
			'A public name is 2 to 32 of a-z, 0-9, "_", "." and "-", and begins with a letter or a digit.'
		);
	end if;
	if exists (select from chat c where c.handle = p_handle and c.id is distinct from p_chat) then
		perform refuse('name_taken', format('There is a channel %s already.', p_handle));
	end if;
end $$;

-- Changes a chat's settings. The owner and admins may change those of a group or channel. In a direct chat
-- both members may change message_ttl and system_messages. Null leaves a setting as it is, an empty handle
-- removes it, a message_ttl of 0 lets messages stay. Messages that exist keep their expiry. If nothing changes
-- there is no event.
-- Caller: PATCH /v1/chats/{chat}.
-- Locks: the log lock.
-- Errors: 403 blocked, forbidden; 404 not_found; 409 name_taken; 422 bad_chat, bad_name.
create function chat_patch(
	p_me text,
	p_chat text,
	p_title text,
	p_history text,
	p_handle text,
	p_posting text,
	p_adding text,
	p_slow_mode int,
	p_rate_limit int,
	p_message_ttl int,
	p_system_messages text
) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_mine member;
	v_old chat;
	v_row chat;
	v_system record;
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	v_mine := membership(p_me, v_chat);
	if role_rank(v_mine.role) < 2
		and (
			num_nonnulls(
				p_title, p_history, p_handle, p_posting, p_adding, p_slow_mode, p_rate_limit
			) > 0
			or num_nonnulls(p_message_ttl, p_system_messages) = 0
			or not exists (select from chat c where c.id = v_chat and c.kind = 'direct')
		)
	then
		perform refuse('forbidden', 'Only the owner or an admin may change this chat.');
	end if;
	perform require_unbarred(v_chat);
	if p_title is not null then
		perform require_title(p_title);
	end if;
	select * into v_old from chat c where c.id = v_chat;
	perform require_settings(v_chat, v_mine.role, v_old.kind, p_handle, p_posting, p_adding);
	v_row := v_old;
	v_row.title := coalesce(p_title, v_old.title);
	v_row.history := coalesce(p_history, v_old.history);
	v_row.handle := nullif(coalesce(p_handle, v_old.handle), '');
	v_row.posting := coalesce(p_posting, v_old.posting);
	v_row.adding := coalesce(p_adding, v_old.adding);
	v_row.slow_mode := coalesce(p_slow_mode, v_old.slow_mode);
	v_row.rate_limit := coalesce(p_rate_limit, v_old.rate_limit);
	v_row.message_ttl := nullif(coalesce(p_message_ttl, v_old.message_ttl), 0);
	v_row.system_messages := coalesce(p_system_messages, v_old.system_messages);
	if v_row is not distinct from v_old then
		return query select v_old.rev, chat_view(p_me, v_chat);
		return;
	end if;
	update chat c
	set title = v_row.title, history = v_row.history, handle = v_row.handle, posting = v_row.posting,
		adding = v_row.adding, slow_mode = v_row.slow_mode, rate_limit = v_row.rate_limit,
		message_ttl = v_row.message_ttl, system_messages = v_row.system_messages,
		members_told = members_count, rev = v.head + 1
	where c.id = v_chat
	returning * into v_row;
	perform audit_add(
		v_chat, v.at, p_me, 'chat_changed', null,
		jsonb_strip_nulls(jsonb_build_object(
			'title', p_title,
			'history', p_history,
			'handle', p_handle,
			'posting', p_posting,
			'adding', p_adding,
			'slow_mode', p_slow_mode,
			'rate_limit', p_rate_limit,
			'message_ttl', p_message_ttl,
			'system_messages', p_system_messages
		))
	);
	v_system := system_messages(
		v_chat, v.head + 2, v.at, p_me,
		case
			when v_row.title is distinct from v_old.title then jsonb_build_object(
				'code', 'title_changed',
				'title', v_row.title
			)
		end,
		case
			when v_row.history <> v_old.history then jsonb_build_object(
				'code', 'history_changed',
				'history', v_row.history
			)
		end,
		case
			when v_row.message_ttl is distinct from v_old.message_ttl then jsonb_build_object(
				'code', 'message_ttl_changed',
				'message_ttl', coalesce(v_row.message_ttl, 0)
			)
		end
	);
	perform log_append(v.head + 1, v_system.upto, v.at, chat_line(v_row) || v_system.lines);
	return query select v_system.upto, chat_view(p_me, v_chat);
end $$;

-- Marks a chat as deleted at position p_pos, frees its handle and forgets its requests. Returns its row,
-- null if there is no such chat any more.
-- Callers: admin_chat_delete(), chat_delete(), erase_membership(), member_delete().
-- Locks: the caller holds the log lock.
create function chat_set_deleted(p_chat bigint, p_pos bigint) returns chat
language sql as $$
	delete from chat_request r where r.chat_id = p_chat;
	update chat c
	set state = 'deleted', title = null, handle = null, pair = null, rev = p_pos
	where c.id = p_chat and c.state = 'active'
	returning *
$$;

-- Deletes a chat; only its owner may. The row stays with state "deleted"; upkeep() removes the messages in
-- chunks.
-- Caller: DELETE /v1/chats/{chat}.
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found.
create function chat_delete(p_me text, p_chat text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_row chat;
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	if (membership(p_me, v_chat)).role <> 'owner' then
		perform refuse(
			'forbidden',
			'Only its owner may delete a chat; a direct chat can''t be deleted.'
		);
	end if;
	v_row := chat_set_deleted(v_chat, v.head + 1);
	perform log_append(v.head + 1, v.head + 1, v.at, chat_line(v_row));
	return query select v_row.rev, null::text;
end $$;
