-- SPDX-License-Identifier: MIT
-- Public channels, as users see them who are not members.

-- The JSON of a public channel.
-- Callers: channel_get(), channels().
create function channel_json(p_me text, c chat) returns jsonb
language sql stable as $$
	select jsonb_build_object(
		'id', c.id,
		'handle', c.handle,
		'title', c.title,
		'members_count', c.members_count,
		'created_at', stamp(c.created_at),
		'joined', exists (
			select from member m where m.chat_id = c.id and m.name = p_me and m.state = 'joined'
		)
	)
$$;

-- Finds public channels by the beginning of their handle, or of any word of their title. Users don't find
-- channels that they are banned from. The cursor is the last handle of the page before.
-- Caller: GET /v1/channels.
create function channels(p_me text, p_q text, p_cursor text, p_limit int) returns table (body text)
language sql stable as $$
	with page as (
		select c
		from chat c
		where c.handle is not null
			and c.state = 'active'
			and (p_cursor is null or c.handle > p_cursor)
			and (
				p_q is null
				or starts_with(c.handle, lower(p_q))
				or search_name_matches(c.title, (select search_name_words(p_q)))
			)
			and not exists (
				select
				from member m
				where m.chat_id = c.id and m.name = p_me and m.state = 'banned'
			)
		order by c.handle
		limit p_limit + 1
	), kept as (
		select c from page order by (c).handle limit p_limit
	)
	select jsonb_strip_nulls(jsonb_build_object(
		'channels', coalesce(jsonb_agg(channel_json(p_me, c) order by (c).handle), '[]'),
		'next', case when (select count(*) from page) > p_limit then max((c).handle) end
	))::text
	from kept
$$;

-- The public channel with that handle, unless p_me is banned from it.
-- Callers: channel_get(), channel_join().
-- Errors: 404 not_found.
create function channel_of(p_me text, p_handle text) returns chat
language plpgsql stable as $$
declare
	v_chat chat;
begin
	select c.* into v_chat
	from chat c
	where c.handle = p_handle
		and c.state = 'active'
		and not exists (
			select from member m where m.chat_id = c.id and m.name = p_me and m.state = 'banned'
		);
	if not found then
		perform refuse_absent();
	end if;
	return v_chat;
end $$;

-- Returns a public channel.
-- Caller: GET /v1/channels/{name}.
-- Errors: 404 not_found.
create function channel_get(p_me text, p_handle text) returns table (body text)
language plpgsql stable as $$
begin
	return query select channel_json(p_me, channel_of(p_me, p_handle))::text;
end $$;

-- Joins a public channel. Joining again also succeeds.
-- Caller: POST /v1/channels/{name}.
-- Locks: the log lock.
-- Errors: 404 not_found; 422 too_many_chats, too_many_members.
create function channel_join(p_me text, p_handle text, p_members_max int, p_chats_max int)
returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat chat;
	v_pos bigint;
begin
	v := log_begin();
	v_chat := channel_of(p_me, p_handle);
	v_pos := join_chat(v.head, v.at, p_me, v_chat.id, p_members_max, p_chats_max);
	return query select v_pos, chat_view(p_me, v_chat.id);
end $$;
