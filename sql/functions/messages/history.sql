-- SPDX-License-Identifier: MIT
-- Pages of a chat's history.

-- A page of messages, ascending. At most one of p_before (ids below it), p_after (ids above it) and p_around
-- may be set; with none the page has the latest messages.
--   older, newer  cursors, set if there are more messages on that side
--   floor         the caller sees messages with greater ids only
-- Callers: GET /v1/chats/{chat}/messages, api/pages.c.
-- Errors: 400 bad_parameter; 404 not_found.
create function history(
	p_me text,
	p_chat text,
	p_before bigint,
	p_after bigint,
	p_around bigint,
	p_limit int
) returns table (older bigint, newer bigint, floor bigint, body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
	v_chat bigint := v_member.chat_id;
	v_half int := (p_limit + 1) / 2;
	v_bytes int := case when p_around is null then page_bytes() else page_bytes() / 2 end; -- of each side
	v_first bigint;
	v_last bigint;
	v_json text;
begin
	floor := v_member.floor;
	if num_nonnulls(p_before, p_after, p_around) > 1 then
		perform refuse('bad_parameter', 'Only one of before, after and around.');
	end if;
	select min((p.m).id), max((p.m).id),
		string_agg(message_view(p.m, v_member.floor), ',' order by (p.m).id)
	into v_first, v_last, v_json
	from (
		(
			select x.m, row_number() over w as n, sum(message_size(x.m)) over w as bytes
			from (
				select m
				from message m
				where m.chat_id = v_chat
					and m.id > v_member.floor
					and p_after is null
					and m.id < coalesce(p_before, p_around, 9223372036854775807)
				order by m.id desc
				limit case when p_around is null then p_limit else p_limit - v_half end
			) x
			window w as (order by (x.m).id desc)
		)
		union all
		(
			select x.m, row_number() over w, sum(message_size(x.m)) over w
			from (
				select m
				from message m
				where m.chat_id = v_chat
					and m.id > v_member.floor
					and (p_after is not null or p_around is not null)
					and m.id > coalesce(p_after, p_around - 1)
				order by m.id
				limit case when p_around is null then p_limit else v_half end
			) x
			window w as (order by (x.m).id)
		)
	) p
	where p.n = 1 or p.bytes <= v_bytes;
	select m.id into older
	from message m
	where m.chat_id = v_chat
		and m.id > v_member.floor
		and m.id < coalesce(v_first, p_after + 1, p_around, 0)
	order by m.id desc
	limit 1;
	older := case when older is not null then coalesce(v_first, p_after + 1, p_around) end;
	select m.id into newer
	from message m
	where m.chat_id = v_chat
		and m.id > v_member.floor
		and m.id > coalesce(v_last, p_before - 1, p_around, 9223372036854775807)
	order by m.id
	limit 1;
	newer := case when newer is not null then coalesce(v_last, p_before - 1, p_around) end;
	body := '{"messages":[' || coalesce(v_json, '') || ']' || coalesce(',"older":"' || older || '"', '')
		|| coalesce(',"newer":"' || newer || '"', '') || '}';
	return next;
end $$;
