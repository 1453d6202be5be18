-- SPDX-License-Identifier: MIT
-- Reads the log from the tables, for a worker that starts or has missed notifications.

-- The approximate size of a message's frame in bytes. Nothing is fetched or decompressed for it:
-- octet_length() of a text is known from its header. For compressed content the size is a guess (pglz
-- compresses by a factor of 9 often, and of 90 at worst).
-- Callers: log_frames(), log_recent(), replay().
create function message_size(m message) returns int
language sql stable as $$
	select 400
		+ coalesce(octet_length(m.text), 0)
		+ coalesce(pg_column_size(m.mentions), 0)
		+ coalesce(
			pg_column_size(m.content)
				* case when pg_column_compression(m.content) is null then 1 else 24 end,
			0
		)
$$;

-- The frames of everything whose latest change is after p_after, in order, in one snapshot. The last row is
-- (upto, its check, null): the position up to which the result is complete, the head if nothing was left out.
-- Which messages are on the page is settled before the JSON of any is made.
--   p_check  the check of p_after; null if unknown. If this history has another one, there are no rows at all.
--   p_most   the most rows; p_bytes: about the most bytes. A position always comes whole.
-- Caller: log/tail.c.
create function log_frames(p_after bigint, p_check bigint, p_most int, p_bytes bigint)
returns table (pos bigint, "check" bigint, line text)
language sql stable rows 1000 as $$
	with frame as (
		(
			select m.rev as pos, message_size(m) as size, m.chat_id, m.id, null as line
			from message m
			where m.rev > p_after
			order by m.rev
			fetch first (p_most + 1) rows with ties
		)
		union all
		(
			select t.rev, 100, null, null,
				frame_line(
					t.rev, 'deleted', t.chat_id::text, '-', t.id, 0, tombstone_json(t)
				)
			from tombstone t
			where t.rev > p_after
			order by t.rev
			fetch first (p_most + 1) rows with ties
		)
		union all
		(
			select m.rev, 300, null, null, member_line(m)
			from member m
			where m.rev > p_after
			order by m.rev
			fetch first (p_most + 1) rows with ties
		)
		union all
		(
			select c.rev, 600, null, null, chat_line(c)
			from chat c
			where c.rev > p_after
			order by c.rev
			fetch first (p_most + 1) rows with ties
		)
		union all
		(
			select r.rev, 200, null, null, reaction_line(r)
			from reaction r
			where r.rev > p_after
			order by r.rev
			fetch first (p_most + 1) rows with ties
		)
		union all
		(
			select a.rev, 600, null, null, account_line(a)
			from account a
			where a.rev > p_after
			order by a.rev
			fetch first (p_most + 1) rows with ties
		)
	), page as materialized (
		select f.*, row_number() over w > p_most or sum(f.size) over w > p_bytes as is_over,
			min(f.pos) over () as first
		from frame f
		window w as (order by f.pos rows unbounded preceding)
	), bound as materialized (
		select coalesce(
			min(page.pos) filter (where page.is_over and page.pos > page.first) - 1, log_head()
		) as upto
		from page
	), result as (
		(
			select page.pos,
				coalesce(
					page.line,
					(
						select frame_line(
							m.rev, 'message', m.chat_id::text, m.sender, m.id,
							0, message_json(m)
						)
						from message m
						where m.chat_id = page.chat_id and m.id = page.id
					)
				) as line
			from page, bound
			where page.pos <= bound.upto
			order by page.pos
		)
		union all
		select bound.upto, null
		from bound
	)
	select result.pos, b.held, result.line
	from result,
		lateral (
			select batch_check(x.at, x.mark) as held
			from log_batch x
			where x.upto >= result.pos
			order by x.upto
			limit 1
		) b
	where p_check is null or log_holds(p_after, p_check)
$$;

-- The position after which the frames up to p_head have about p_bytes, and are at most p_most. A worker fills
-- its ring from there when it starts.
-- Caller: log/tail.c.
create function log_recent(p_head bigint, p_bytes bigint, p_most int) returns bigint
language sql stable as $$
	with frame as (
		(
			select m.rev as pos, message_size(m) as size
			from message m
			where m.rev <= p_head
			order by m.rev desc
			limit p_most
		)
		union all
		(
			select t.rev, 400
			from tombstone t
			where t.rev <= p_head
			order by t.rev desc
			limit p_most
		)
		union all
		(
			select m.rev, 600
			from member m
			where m.rev <= p_head
			order by m.rev desc
			limit p_most
		)
		union all
		(
			select c.rev, 900
			from chat c
			where c.rev <= p_head
			order by c.rev desc
			limit p_most
		)
		union all
		(
			select r.rev, 500
			from reaction r
			where r.rev <= p_head
			order by r.rev desc
			limit p_most
		)
		union all
		(
			select a.rev, 900
			from account a
			where a.rev <= p_head
			order by a.rev desc
			limit p_most
		)
	), total as (
		select f.pos, sum(f.size) over (order by f.pos desc) as bytes from frame f
	)
	select greatest(p_head - p_most, coalesce(max(total.pos) filter (where total.bytes > p_bytes), 0))
	from total
$$;
