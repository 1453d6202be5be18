-- SPDX-License-Identifier: MIT
-- Chats as one of their members sees them.

-- The chat's JSON with what is the member's own: the title of a direct chat, role, last message, unread
-- counts, watermarks. Where many of the member's own messages come before the first one of others,
-- mark_skip_own() moves their watermark, so that the next call doesn't read these messages again.
--   unread           messages of others after the member's watermark (or since they joined), without system
--                    messages. At most 1,000, out of the 10,000 messages from the first of them on.
--   unread_mentions  how many of these mention the member; at most 100 by name and 100 by @all
-- Callers: chat_view(), chats(), sync().
create function chat_view_json(p_me text, c chat, m member) returns text
language sql stable as $$
	select rtrim(
			(
				chat_json(c)
					|| jsonb_strip_nulls(jsonb_build_object(
						'title', case
							when c.kind = 'direct' then coalesce(
								nullif(peer.display_name, ''), peer.name
							)
							else c.title
						end,
						'peer', peer.name,
						'my_role', m.role,
						'muted_until', stamp(m.muted_until),
						'unread', unread.n,
						'first_unread', unread.first,
						'unread_mentions', nullif(mentioned.n, 0),
						'read', w.read,
						'delivered', w.delivered
					))
			)::text,
			'}'
		)
		|| coalesce(',"last_message":' || last.json, '') || '}'
		|| case
			when coalesce(first_unread.id, last.id + 1) - mark.after > 1000 then mark_skip_own(
				c.id, p_me, mark.after, coalesce(first_unread.id - 1, last.id)
			)
			else ''
		end
	from (values (1)) one
	left join watermark w on w.chat_id = c.id and w.name = p_me
	cross join lateral (select greatest(coalesce(w.read, 0), m.since, m.floor) as after) mark
	left join lateral (
		select a.name, a.display_name
		from account a
		where c.kind = 'direct'
			and a.name = case
				when c.pair = p_me || ' ' || p_me then p_me
				else (select x from unnest(string_to_array(c.pair, ' ')) x where x <> p_me)
			end
	) peer on true
	left join lateral (
		select x.id, message_json(x) as json
		from message x
		where x.chat_id = c.id and x.id > m.floor
		order by x.id desc
		limit 1
	) last on true
	left join lateral (
		select x.id
		from message x
		where x.chat_id = c.id
			and x.id > mark.after
			and x.sender <> p_me
			and x.type is distinct from 'system'
		order by x.id
		limit 1
	) first_unread on true
	left join lateral (
		select count(*) as n, first_unread.id as first
		from (
			select
			from (
				select x.sender, x.type
				from message x
				where x.chat_id = c.id and x.id >= first_unread.id
				order by x.id
				limit 10000
			) y
			where y.sender <> p_me and y.type is distinct from 'system'
			limit 1000
		) u
	) unread on true
	left join lateral (
		select count(distinct u.id) as n
		from (
			(
				select x.id
				from mention x
				where x.chat_id = c.id and x.name = p_me and x.id >= unread.first
				order by x.id
				limit 100
			)
			union all
			(
				select x.id
				from mention x
				join lateral (
					select
					from message y
					where y.chat_id = x.chat_id and y.id = x.id and y.sender <> p_me
					limit 1
				) y on true
				where x.chat_id = c.id and x.name = '@all' and x.id >= unread.first
				order by x.id
				limit 100
			)
		) u
	) mentioned on unread.n > 0
$$;

-- The same for a chat's number; null if p_me has never been a member.
-- Callers: channel_join(), chat_create(), chat_get(), chat_patch(), invite_join().
create function chat_view(p_me text, p_chat bigint) returns text
language sql stable as $$
	select chat_view_json(p_me, c, m)
	from chat c
	join member m on m.chat_id = c.id and m.name = p_me
	where c.id = p_chat
$$;

-- Returns a chat.
-- Caller: GET /v1/chats/{chat}.
-- Errors: 404 not_found.
create function chat_get(p_me text, p_chat text) returns table (body text)
language plpgsql stable as $$
declare
	v_chat bigint := chat_of(p_me, p_chat);
begin
	perform membership(p_me, v_chat);
	return query select chat_view(p_me, v_chat);
end $$;

-- Lists the caller's chats by number. The cursor is the last number of the page before.
-- Callers: GET /v1/chats, serve/demo.c.
create function chats(p_me text, p_cursor bigint, p_limit int) returns table (body text)
language sql stable as $$
	with page as (
		select c, m
		from member m
		join chat c on c.id = m.chat_id
		where m.name = p_me
			and m.state = 'joined'
			and c.state = 'active'
			and c.id > coalesce(p_cursor, 0)
		order by m.chat_id
		limit p_limit + 1
	), kept as (
		select c, m from page order by (c).id limit p_limit
	)
	select '{"chats":[' || coalesce(string_agg(chat_view_json(p_me, c, m), ',' order by (c).id), '')
		|| ']'
		|| case
			when (select count(*) from page) > p_limit then ',"next":"' || max((c).id) || '"'
			else ''
		end
		|| '}'
	from kept
$$;

-- GET /v1/sync: everything that a client needs to start, and the cursor that matches it, in one snapshot.
--   p_timing  a JSON object that the worker supplies
-- Caller: api/streams.c.
create function sync(p_me text, p_timing text) returns table (body text)
language sql stable as $$
	select '{"me":' || (select me_json(a)::text from account a where a.name = p_me) || ',"chats":['
		|| coalesce((
			select string_agg(chat_view_json(p_me, c, m), ',' order by c.id)
			from member m
			join chat c on c.id = m.chat_id
			where m.name = p_me and m.state = 'joined' and c.state = 'active'
		), '')
		|| '],"cursor":"'
		|| (
			select cursor_text(value, log_head(), log_check(log_head()))
			from meta
			where key = 'epoch'
		)
		|| '","announcements":' || announcements_json() || ',"chat_requests":' || chat_requests_json(p_me)
		|| ',"timing":' || p_timing || '}'
$$;
