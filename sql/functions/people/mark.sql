-- SPDX-License-Identifier: MIT
-- Moves watermarks.

-- Moves watermarks, many in one call. They only move forward, and at most to the head. What is read was
-- delivered too. The result has the code 404 not_found for those who aren't a member.
--   p_chat  "*" is every chat of the user in which a message of somebody else, or a hundred of their own, are
--           delivered by this mark. A hundred own ones count so that they aren't read again each time.
-- Callers: POST /v1/chats/{chat}/delivered and .../read, and the cursor of a poll (api/routes.c).
-- Locks: the rows of watermark, in order of chat and name, so that concurrent calls don't deadlock.
create function mark(p_me text[], p_chat text[], p_delivered text[], p_read text[])
returns table (code text, detail text, body text)
language plpgsql as $$
declare
	v_head bigint := log_head();
	v_lines text;
	v_changes watermark_change[];
begin
	return query
		select
			case
				when i.chat <> '*'
					and not exists (
						select
						from member m
						join chat c on c.id = m.chat_id
						where m.chat_id = chat_named(i.me, i.chat)
							and m.name = i.me
							and m.state = 'joined'
							and c.state = 'active'
					)
				then 'not_found'
			end,
			null::text, null::text
		from unnest(p_me, p_chat) with ordinality i (me, chat, ord)
		order by i.ord;

	with asked as (
		select i.me, i.chat,
			case when i.read is not null then least(i.read::bigint, v_head) end as read,
			least(greatest(i.delivered::bigint, i.read::bigint), v_head) as delivered
		from unnest(p_me, p_chat, p_delivered, p_read) i (me, chat, delivered, read)
	), named as (
		select m.chat_id, m.name, a.read, a.delivered
		from asked a
		join member m on m.chat_id = chat_named(a.me, a.chat) and m.name = a.me
		where a.chat <> '*' and m.state = 'joined'
		union all
		select m.chat_id, m.name, null, a.delivered
		from asked a
		join member m on m.name = a.me
		left join watermark w on w.chat_id = m.chat_id and w.name = m.name
		where a.chat = '*'
			and m.state = 'joined'
			and (
				select bool_or(y.sender <> m.name) or count(*) = 100
				from (
					select x.sender
					from message x
					where x.chat_id = m.chat_id
						and x.id > greatest(m.since, w.delivered)
						and x.id <= a.delivered
					order by x.id
					limit 100
				) y
			)
	), wanted as (
		select n.chat_id, n.name, max(n.delivered) as delivered, coalesce(max(n.read), 0) as read
		from named n
		join chat c on c.id = n.chat_id and c.state = 'active'
		group by n.chat_id, n.name
	), known as (
		select w.chat_id, w.name, coalesce(o.delivered, 0) as delivered, coalesce(o.read, 0) as read
		from wanted w
		left join watermark o on o.chat_id = w.chat_id and o.name = w.name
	), moved as (
		insert into watermark as w (chat_id, name, delivered, read)
		select x.chat_id, x.name, x.delivered, x.read
		from wanted x
		order by x.chat_id, x.name
		on conflict (chat_id, name) do update
		set delivered = greatest(w.delivered, excluded.delivered),
			read = greatest(w.read, excluded.read)
		where w.delivered < excluded.delivered or w.read < excluded.read
		returning w.chat_id, w.name, w.delivered, w.read
	), change as (
		select m.chat_id, m.name, m.read > k.read as is_read,
			case when m.read > k.read then k.read else k.delivered end as was,
			case when m.read > k.read then m.read else m.delivered end as is_now,
			c.members_count > receipts_names_max() as is_large
		from moved m
		join known k on k.chat_id = m.chat_id and k.name = m.name
		join chat c on c.id = m.chat_id
		where not c.barred and (m.read > k.read or m.delivered > k.delivered)
	)
	select array_agg(row(t.chat_id, t.name, t.is_read, t.was, t.is_now, t.is_large)::watermark_change)
	into v_changes
	from change t;

	with change as (
		select t.*, case when t.is_read then 'read' else 'delivered' end as kind
		from unnest(v_changes) t
	), passed as materialized ( -- the latest message of each author in what was passed, 100 messages at most
		select t.chat_id, t.name, x.sender, t.is_read, t.kind, t.is_large, t.is_now, max(x.id) as id
		from change t,
			lateral (
				select m.sender, m.id
				from message m
				where m.chat_id = t.chat_id
					and m.id > t.was
					and m.id <= t.is_now
					and m.sender <> t.name
				order by m.id desc
				limit 100
			) x
		where t.is_large or not t.is_read
		group by t.chat_id, t.name, x.sender, t.is_read, t.kind, t.is_large, t.is_now
	), authors as ( -- a former member receives nothing
		select p.*
		from passed p
		where exists (
			select
			from member o
			where o.chat_id = p.chat_id
				and o.name = p.sender
				and o.state = 'joined'
				and o.floor < p.id
		)
	), lines as (
		select live_line(
			t.kind, case when not t.is_large then t.chat_id::text end,
			case when t.is_large then t.name end, null,
			concat('{"chat":', t.chat_id, ',"name":"', t.name, '","up_to":', t.is_now, '}')
		) as line
		from change t
		where t.is_read
		union all
		-- a delivery is published to the authors only
		select live_line(
			a.kind, null, string_agg(a.sender, ','), null,
			concat('{"chat":', a.chat_id, ',"name":"', a.name, '","up_to":', a.is_now, '}')
		)
		from authors a
		where not a.is_large
		group by a.kind, a.chat_id, a.name, a.is_now
		union all
		select live_line(
			a.kind, null, a.sender, null,
			concat(
				'{"chat":', a.chat_id, ',"id":', a.id, ',"count":',
				received_by(a.chat_id, a.id, a.sender, a.is_read), '}'
			)
		)
		from (
			select x.kind, x.chat_id, x.sender, x.is_read, max(x.id) as id
			from authors x
			where x.is_large
			group by x.kind, x.chat_id, x.sender, x.is_read
		) a
	)
	select string_agg(l.line, '') into v_lines
	from lines l;
	perform live_append(v_lines);
end $$;

-- Moves p_me's watermark from p_after over more than 1,000 messages of their own, so that these aren't read
-- each time. Others see no change, because p_me had read the same messages of theirs before. Returns an empty
-- text, because it is called inside an expression. It does nothing in a read-only transaction.
-- Caller: chat_view_json().
-- Locks: one row of watermark; only once a transaction, so that two calls can't deadlock.
create function mark_skip_own(p_chat bigint, p_me text, p_after bigint, p_up_to bigint) returns text
language plpgsql as $$
begin
	if current_setting('transaction_read_only') = 'off'
		and coalesce(current_setting('postern.passed', true), '') = ''
		and exists (
			select
			from message x
			where x.chat_id = p_chat and x.id > p_after and x.id <= p_up_to
			order by x.id
			offset 1000
			limit 1
		)
	then
		perform set_config('postern.passed', 't', true);
		insert into watermark as w (chat_id, name, delivered, read)
		values (p_chat, p_me, p_up_to, p_up_to)
		on conflict (chat_id, name) do update
		set delivered = greatest(w.delivered, excluded.delivered), read = excluded.read
		where w.read < excluded.read;
	end if;
	return '';
end $$;
