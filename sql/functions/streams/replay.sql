-- SPDX-License-Identifier: MIT
-- What a stream has missed.

-- What p_name has missed since p_after: the latest state of everything that changed, once, in order of
-- position, each with the check of its position. The last row is (pos, check, null, null): the position up to
-- which the page is complete. The user's chats are those of this snapshot, each from the time they joined;
-- their own memberships are always included.
--   p_check  the check of p_after
--   p_most   the most rows; p_bytes: about the most bytes. A position always comes whole.
-- Caller: hub/replay.c.
-- Errors: PT002 if p_after is older than the horizon, PT003 if it isn't of this history of the log.
create function replay(p_name text, p_after bigint, p_check bigint, p_most int, p_bytes bigint)
returns table (pos bigint, "check" bigint, kind text, "json" text)
language plpgsql stable as $$
declare
	v_head bigint := log_head();
begin
	if p_after < (select value::bigint from meta where key = 'horizon') then
		raise exception 'the cursor is older than what is kept of deletions' using errcode = 'PT002';
	end if;
	if not log_holds(p_after, p_check) then
		raise exception 'the cursor is not of this history of the log' using errcode = 'PT003';
	end if;
	return query
		with joined as materialized (
			select m.chat_id, greatest(m.since, p_after) as after, m.floor, c.state
			from member m
			join chat c on c.id = m.chat_id
			where m.name = p_name and m.state = 'joined'
		), mine as materialized ( -- of a deleted chat only the deletion is returned
			select j.* from joined j where j.state = 'active'
		), frame as ( -- messages get their JSON below, when the page is settled
			select x.*
			from mine,
				lateral (
					select m.id as pos, 'message' as kind, message_size(m) as size,
						m.chat_id, m.id, null as "json"
					from message m
					where m.chat_id = mine.chat_id
						and m.id > mine.after
						and m.rev = m.id
					order by m.id
					fetch first (p_most + 1) rows with ties
				) x
			union all
			select x.*
			from mine,
				lateral (
					select m.rev, 'message', message_size(m), m.chat_id, m.id, null
					from message m
					where m.chat_id = mine.chat_id
						and m.rev > mine.after
						and m.rev > m.id
						and m.id > mine.floor
					order by m.rev
					fetch first (p_most + 1) rows with ties
				) x
			union all
			select x.*
			from mine,
				lateral (
					select t.rev, 'deleted', 100, t.chat_id, t.id, tombstone_json(t)
					from tombstone t
					where t.chat_id = mine.chat_id
						and t.rev > mine.after
						and t.id > mine.floor
					order by t.rev
					fetch first (p_most + 1) rows with ties
				) x
			union all
			select x.*
			from mine,
				lateral (
					select r.rev, 'reaction', 200, r.chat_id, r.message_id,
						reaction_json(r)
					from reaction r
					where r.chat_id = mine.chat_id
						and r.rev > mine.after
						and r.message_id > mine.floor
					order by r.rev
					fetch first (p_most + 1) rows with ties
				) x
			union all
			select x.*
			from mine,
				lateral (
					select m.rev, 'member', 300, m.chat_id, null::bigint,
						member_json(m)::text
					from member m
					where m.chat_id = mine.chat_id
						and m.name <> p_name
						and m.rev > mine.after
						and not m.quiet
					order by m.rev
					fetch first (p_most + 1) rows with ties
				) x
			union all
			select m.rev, 'member', 300, m.chat_id, null, member_json(m)::text
			from member m
			where m.name = p_name and m.rev > p_after
			union all
			select c.rev, 'chat', 600, c.id, null, chat_json(c)::text
			from joined j
			join chat c on c.id = j.chat_id
			where c.rev > j.after
			union all
			select a.rev, 'user', 600, null, null, account_json(a)::text
			from account a
			where a.rev > p_after
				and (
					a.name = p_name
					or exists (
						select
						from mine
						join member o on o.chat_id = mine.chat_id
						where o.name = a.name
							and (o.state = 'joined' or a.state = 'deleted')
							and a.rev > mine.after
					)
				)
		), page as materialized (
			select f.*, row_number() over w > p_most or sum(f.size) over w > p_bytes as is_over,
				min(f.pos) over () as first
			from frame f
			window w as (order by f.pos rows unbounded preceding)
		), bound as materialized (
			select coalesce(
				min(page.pos) filter (where page.is_over and page.pos > page.first) - 1,
				v_head
			) as upto
			from page
		), result as (
			(
				select page.pos, page.kind,
					coalesce(
						page.json,
						(
							select message_json(m)
							from message m
							where m.chat_id = page.chat_id and m.id = page.id
						)
					) as "json"
				from page, bound
				where page.pos <= bound.upto
				order by page.pos
			)
			union all
			select bound.upto, null, null
			from bound
		)
		select t.pos, b.held, t.kind, t.json
		from result t,
			lateral (
				select batch_check(x.at, x.mark) as held
				from log_batch x
				where x.upto >= t.pos
				order by x.upto
				limit 1
			) b;
end $$;
