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

-- The approximate size of chat_view_json() in bytes, for the bound of pages.
-- Callers: chats(), sync().
create function chat_view_size(c chat, m member) returns int
language sql stable as $$
	select 600 + coalesce(octet_length(to_json(c.title)::text), 0)
		+ coalesce((
			select message_size(x)
			from message x
			where x.chat_id = c.id and x.id > m.floor
			order by x.id desc
			limit 1
		), 0)
$$;

-- Lists the caller's chats by number. The cursor is the last number of the page before.
-- Callers: GET /v1/chats, serve/demo.c.
create function chats(p_me text, p_cursor bigint, p_limit int) returns table (body text)
language sql stable as $$
	with page as (
		select c, m,
			row_number() over w as n,
			sum(chat_view_size(c, m)) over w as bytes
		from member m
		join chat c on c.id = m.chat_id
		where m.name = p_me
			and m.state = 'joined'
			and c.state = 'active'
			and c.id > coalesce(p_cursor, 0)
		window w as (order by m.chat_id)
		order by m.chat_id
		limit p_limit + 1
	), kept as (
		select c, m from page where n = 1 or (n <= p_limit and bytes <= page_bytes())
	)
	select '{"chats":[' || coalesce(string_agg(chat_view_json(p_me, c, m), ',' order by (c).id), '')
		|| ']'
		|| case
			when (select count(*) from page) > count(*) then ',"next":"' || max((c).id) || '"'
			else ''
		end
		|| '}'
	from kept
$$;

-- When something last happened in a member's chat, up to position p_upto: the position of the last message that
-- the member may read, or that of joining, if it is later.
-- Caller: sync().
create function chat_activity(m member, p_upto bigint) returns bigint
language sql stable as $$
	select greatest(m.since, (
		select x.id
		from message x
		where x.chat_id = m.chat_id and x.id > m.floor and x.id <= p_upto
		order by x.id desc
		limit 1
	))
$$;

-- GET /v1/sync: everything that a client needs to start, and the cursor that matches it, in one snapshot. Chats
-- come by their last activity, the latest first; a page has about page_bytes() of them, and at least one.
--   p_timing  a JSON object that the worker supplies
--   p_cursor  null for the first page, else `next` of the page before: the cursor of the first page, and the
--             activity and number of the last chat. The order of all pages is that of the first page's position.
--             What happens later comes with the events after that position, so that no page needs it.
--   p_limit   the most chats of the page; null: as many as have room
-- Caller: api/streams.c.
-- Errors: 400 bad_cursor.
create function sync(p_me text, p_timing text, p_cursor text, p_limit int) returns table (body text)
language plpgsql stable as $$
declare
	v_parts constant text[] := regexp_match(
		p_cursor, '^([^.]{1,40}\.([0-9]{1,18}))\.([0-9]{1,18})\.([0-9]{1,18})$'
	);
	v_upto constant bigint := coalesce(v_parts[2]::bigint, log_head());
	v_limit constant int := coalesce(p_limit, page_bytes() / 600);
	v_cursor text;
	v_chats record;
begin
	select cursor_text(value, v_upto, log_check(v_upto)) into v_cursor
	from meta
	where key = 'epoch';
	if p_cursor is not null and v_parts[1] is distinct from v_cursor then
		perform refuse('bad_cursor', 'cursor is not of a sync here. Start without one.');
	end if;
	with listed as (
		select m, chat_activity(m, v_upto) as activity
		from member m
		where m.name = p_me and m.state = 'joined'
	), page as (
		select c, m, activity
		from listed l
		join chat c on c.id = (l.m).chat_id
		where c.state = 'active'
			and (p_cursor is null or (activity, c.id) < (v_parts[3]::bigint, v_parts[4]::bigint))
		order by activity desc, c.id desc
		limit v_limit + 1
	), sized as (
		select c, m, activity,
			row_number() over w as n,
			sum(chat_view_size(c, m)) over w as bytes
		from page
		window w as (order by activity desc, (c).id desc)
	), kept as (
		select * from sized where n = 1 or (n <= v_limit and bytes <= page_bytes())
	)
	select string_agg(chat_view_json(p_me, c, m), ',' order by n) as json,
		case
			when (select count(*) from page) > count(*) then (
				select concat_ws('.', v_cursor, activity, (c).id)
				from kept
				order by n desc
				limit 1
			)
		end as next
	into v_chats
	from kept;
	body := '{"me":' || (select me_json(a)::text from account a where a.name = p_me)
		|| ',"chats":[' || coalesce(v_chats.json, '') || ']'
		|| coalesce(',"next":"' || v_chats.next || '"', '')
		|| ',"cursor":"' || v_cursor || '"'
		|| case
			when p_cursor is null then ',"announcements":' || announcements_json()::text
				|| ',"chat_requests":' || chat_requests_json(p_me)::text
			else ''
		end
		|| ',"timing":' || p_timing || '}';
	return next;
end $$;
