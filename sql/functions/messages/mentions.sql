-- SPDX-License-Identifier: MIT
-- Mentions: @name for a member, @all for everyone. Only the owner and admins, or both users of a direct chat,
-- may use @all.

-- Whom a text mentions, as a JSON array; "@all" means everyone. Null if that is nobody. It runs under the log
-- lock, so base/mentions.c has found the names before, at most 200 of them.
--   p_from, p_role  the sender and their role
--   p_names         a line a mention, with the names that it can be, the longest first; null: none. The longest
--                   that is a member's counts.
-- Callers: message_edit(), message_store(), send().
create function mentions_in(p_chat bigint, p_from text, p_role text, p_names text) returns jsonb
language sql stable as $$
	with named as materialized (
		select distinct n.name, n.is_member
		from unnest(string_to_array(p_names, E'\n')) as line
		cross join lateral (
			select x.name, m.name is not null as is_member
			from unnest(string_to_array(line, ' ')) with ordinality as x (name, place)
			left join lateral (
				select y.name
				from member y
				where y.chat_id = p_chat and y.name = x.name and y.state = 'joined'
				limit 1
			) m on true
			where m.name is not null or x.name = 'all'
			order by x.place
			limit 1
		) n
	)
	select jsonb_agg(t.name order by t.name)
	from (
		select n.name
		from named n
		where n.is_member and n.name <> p_from
		union all
		select '@all'
		from named n
		where n.name = 'all'
			and (
				role_rank(p_role) >= 2
				or exists (select from chat c where c.id = p_chat and c.kind = 'direct')
			)
	) t
$$;

-- Adds a message to the inboxes of those whom it mentions.
-- Callers: message_edit(), message_store().
-- Locks: the caller holds the log lock.
create function mentions_add(p_chat bigint, p_id bigint, p_mentions jsonb) returns void
language sql as $$
	insert into mention (chat_id, name, id)
	select p_chat, n, p_id
	from jsonb_array_elements_text(p_mentions) n
$$;

-- Does the same for all messages of a batch.
-- Caller: send().
-- Locks: the caller holds the log lock.
create function mentions_add_batch(p_chat bigint[], p_id bigint[], p_is_new boolean[]) returns void
language sql as $$
	insert into mention (chat_id, name, id)
	select m.chat_id, n, m.id
	from unnest(p_chat, p_id, p_is_new) as u (chat, id, is_new)
	join message m on m.chat_id = u.chat and m.id = u.id,
		jsonb_array_elements_text(m.mentions) n
	where u.is_new
$$;

-- Removes a message from these inboxes.
-- Callers: message_edit(), message_remove().
-- Locks: the caller holds the log lock.
create function mentions_remove(p_chat bigint, p_id bigint, p_mentions jsonb) returns void
language sql as $$
	delete from mention
	where (chat_id, name, id) in (select p_chat, n, p_id from jsonb_array_elements_text(p_mentions) n)
$$;

-- The latest messages of a chat between p_after and p_before, both excluded, in which somebody else mentions
-- @all.
-- Caller: mentions().
create function mentions_of_all(
	p_me text,
	p_chat bigint,
	p_after bigint,
	p_before bigint,
	p_most int
) returns table (chat_id bigint, id bigint)
language sql stable rows 10 as $$
	select x.chat_id, x.id
	from mention x
	join lateral (
		select
		from message y
		where y.chat_id = x.chat_id and y.id = x.id and y.sender <> p_me
		limit 1
	) y on true
	where x.chat_id = p_chat
		and x.name = '@all'
		and x.id > p_after
		and x.id < coalesce(p_before, 9223372036854775807)
	order by x.id desc
	limit p_most
$$;

-- Lists the messages that mention the caller, in their present chats and as far as they may read them, the
-- latest first. @all counts for those who were members then. The cursor is the last id of the page before.
-- Caller: GET /v1/mentions.
create function mentions(p_me text, p_cursor bigint, p_limit int) returns table (body text)
language sql stable as $$
	with found as materialized (
		select f.chat_id, f.id, f.floor
		from (
			(
				select n.chat_id, n.id, m.floor
				from mention n
				-- One look-up each by primary key, as in send().
				join lateral (
					select x.floor
					from member x
					where x.chat_id = n.chat_id and x.name = p_me and x.state = 'joined'
					limit 1
				) m on true
				join lateral (
					select
					from chat x
					where x.id = n.chat_id and x.state = 'active'
					limit 1
				) c on true
				where n.name = p_me
					and n.name <> '@all'
					and n.id > m.floor
					and n.id < coalesce(p_cursor, 9223372036854775807)
				order by n.id desc
				limit p_limit + 1
			)
			union
			-- A page has at most as many chats as entries: the chats with the latest ones.
			(
				select n.chat_id, n.id, m.floor
				from (
						select x.chat_id, x.since, x.floor
						from member x
						join lateral (
							select
							from chat y
							where y.id = x.chat_id and y.state = 'active'
							limit 1
						) c on true,
							lateral (
								select n.id
								from mentions_of_all(
									p_me, x.chat_id, greatest(x.since, x.floor),
									p_cursor, 1
								) n
							) l
						where x.name = p_me and x.state = 'joined'
						order by l.id desc
						limit p_limit + 1
					) m,
					lateral (
						select n.chat_id, n.id
						from mentions_of_all(
							p_me, m.chat_id, greatest(m.since, m.floor),
							p_cursor, p_limit + 1
						) n
					) n
			)
		) f
		order by f.id desc
		limit p_limit + 1
	), page as (
		select x.m, x.floor
		from (
			select m, f.floor, row_number() over w as n, sum(message_size(m)) over w as bytes
			from found f
			join message m on m.chat_id = f.chat_id and m.id = f.id
			window w as (order by f.id desc)
		) x
		where x.n <= p_limit and (x.n = 1 or x.bytes <= page_bytes())
	)
	select '{"mentions":[' || coalesce(string_agg(message_view(m, floor), ',' order by (m).id desc), '')
		|| ']'
		|| case
			when (select count(*) from found) > count(*) then ',"next":"' || min((m).id) || '"'
			else ''
		end
		|| '}'
	from page
$$;
