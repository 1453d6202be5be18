-- SPDX-License-Identifier: MIT
-- Chats, as administrators see them: their members and settings, but not their messages.

-- The JSON of a chat as its members see it, with the users of a direct chat, and the retention that was set
-- for this chat alone.
-- Callers: admin_chat_get(), admin_chat_patch(), admin_chats().
create function admin_chat_json(c chat) returns jsonb
language sql stable as $$
	select chat_json(c)
		|| jsonb_strip_nulls(jsonb_build_object(
			'between', string_to_array(c.pair, ' '),
			'retention_own', c.retention_own
		))
$$;

-- The chat with that number.
-- Callers: admin_chat_get(), admin_chat_members(), admin_chat_patch().
-- Errors: 404 not_found.
create function admin_chat_of(p_chat bigint) returns chat
language plpgsql stable as $$
declare
	v_chat chat;
begin
	select * into v_chat from chat c where c.id = p_chat and c.state = 'active';
	if not found then
		perform refuse_absent();
	end if;
	return v_chat;
end $$;

-- Lists all chats that aren't deleted, by number. The cursor is the last number of the page before.
-- Callers: GET /v1/admin/chats, cli/moderation.c.
-- Errors: 403 forbidden.
create function admin_chats(p_me text, p_cursor bigint, p_limit int) returns table (body text)
language plpgsql stable as $$
begin
	perform require_admin_or_shell(p_me);
	return query
		with page as (
			select c
			from chat c
			where c.state = 'active' and c.id > coalesce(p_cursor, 0)
			order by c.id
			limit p_limit + 1
		), kept as (
			select c from page order by (c).id limit p_limit
		)
		select '{"chats":['
			|| coalesce(string_agg(admin_chat_json(c)::text, ',' order by (c).id), '') || ']'
			|| case
				when (select count(*) from page) > p_limit then
					',"next":"' || max((c).id) || '"'
				else ''
			end
			|| '}'
		from kept;
end $$;

-- Returns a chat.
-- Callers: GET /v1/admin/chats/{chat}, cli/retention.c, cli/moderation.c.
-- Errors: 403 forbidden; 404 not_found.
create function admin_chat_get(p_me text, p_chat bigint) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	return query select admin_chat_json(admin_chat_of(p_chat))::text;
end $$;

-- Lists a chat's members by name. The cursor is the last name of the page before.
-- Callers: GET /v1/admin/chats/{chat}/members, cli/moderation.c.
-- Errors: 403 forbidden; 404 not_found.
create function admin_chat_members(
	p_me text,
	p_chat bigint,
	p_state text,
	p_cursor text,
	p_limit int
) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	perform admin_chat_of(p_chat);
	return query
		with page as (
			select m
			from member m
			where m.chat_id = p_chat
				and m.state = p_state
				and (p_cursor is null or m.name > p_cursor)
			order by m.name
			limit p_limit + 1
		), kept as (
			select m from page order by (m).name limit p_limit
		)
		select jsonb_strip_nulls(jsonb_build_object(
			'members', coalesce(jsonb_agg(member_json(m) order by (m).name), '[]'),
			'next', case when (select count(*) from page) > p_limit then max((m).name) end
		))::text
		from kept;
end $$;

-- Deletes a chat, as its owner could. The users of a deleted direct chat may start another one.
-- Callers: DELETE /v1/admin/chats/{chat}, cli/moderation.c.
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found.
create function admin_chat_delete(p_me text, p_chat bigint) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_row chat;
begin
	v := log_begin();
	perform require_admin_or_shell(p_me);
	v_row := chat_set_deleted(p_chat, v.head + 1);
	if v_row.id is null then
		perform refuse_absent();
	end if;
	perform admin_audit_add(
		coalesce(p_me, 'server'), 'chat_deleted', null, jsonb_build_object('chat', p_chat)
	);
	perform log_append(v.head + 1, v.head + 1, v.at, chat_line(v_row));
	return query select v_row.rev, null::text;
end $$;
