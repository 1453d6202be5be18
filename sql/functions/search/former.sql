-- SPDX-License-Identifier: MIT
-- The former index (0007_search.sql), which is read until the present one has all messages. The next release
-- drops this file, and the release after it the tables.

-- The newest hits in the former index, of messages that the present one doesn't have yet.
--   p_mine            the reader's chats: a JSON object from chat to floor
--   p_filter          the beginning of a query, in which chr(1) stands for the tag of each word
--   p_back            the position of the follower "search_back"
--   p_lo, p_hi        bounds of the id, both excluded
--   p_since, p_until  bounds of the time, the second one excluded
-- Caller: search().
create function search_former(
	p_q text,
	p_mine jsonb,
	p_filter text,
	p_back bigint,
	p_lo bigint,
	p_hi bigint,
	p_since timestamptz,
	p_until timestamptz,
	p_most int,
	out chats bigint[],
	out ids bigint[],
	out stopped bigint
)
language plpgsql stable as $$
declare
	most_segments constant int := 64; -- one at a time
	v_segment bigint;
	v_seen int := 0;
	v_text text;
	v_chats bigint[];
	v_ids bigint[];
begin
	chats := '{}';
	ids := '{}';
	v_text := plainto_tsquery('postern.stems', translate(p_q, 'ёЁ<>"*', 'еЕ    '))::text;
	if v_text = '' then
		return;
	end if;
	v_text := regexp_replace(v_text, '''((?:[^'']|'''')*)''', '''' || chr(1) || '\1''', 'g');
	for v_segment in
		select s.segment
		from search_segment s
		where s.segment between p_lo >> 13 and least(p_hi, p_back) >> 13
			and (p_until is null or s.first_at < p_until)
			and (p_since is null or s.last_at >= p_since)
		order by s.segment desc
	loop
		v_seen := v_seen + 1;
		with hit as materialized (
			select e.chat_id, e.id, e.rev
			from search_entry e
			where e.words @@ replace(
					p_filter || '(' || v_text || ')', chr(1), to_hex(v_segment) || ':'
				)::tsquery
				and e.id > p_lo
				and e.id < p_hi
				and (p_until is null or e.at < p_until)
				and (p_since is null or e.at >= p_since)
				and (p_mine -> e.chat_id::text)::bigint < e.id
		)
		select array_agg(f.chat_id), array_agg(f.id) into v_chats, v_ids
		from (
			select h.chat_id, h.id
			from hit h
			join message m on m.chat_id = h.chat_id
				and m.id = h.id
				and m.rev <= p_back
				and (m.rev = h.rev or m.edited_at is null)
			order by h.id desc
			limit p_most - cardinality(ids)
		) f;
		chats := chats || v_chats;
		ids := ids || v_ids;
		exit when cardinality(ids) >= p_most;
		if v_seen = most_segments then
			stopped := v_segment << 13;
			exit;
		end if;
	end loop;
end $$;

-- Empties the former index, when the present one has all messages and no node of another version runs. A node of
-- the former version that starts later fills it again.
-- Caller: upkeep().
-- Locks: the tables of the former index, if nobody uses them.
create function search_former_clear() returns void
language plpgsql security definer set search_path from current as $$
begin
	if exists (select from follower f where f.name = 'search_back' and f.pos > 0)
		or not exists (select from search_entry)
		or exists (
			select
			from node n
			where n.functions <> current_schema()
				and n.seen_at > clock_timestamp() - interval '1 minute'
		)
	then
		return;
	end if;
	lock table search_entry, search_segment, search_word in access exclusive mode nowait;
	truncate search_entry, search_segment, search_word;
	update follower f set pos = 0, holder = null where f.name = 'search';
exception when lock_not_available or insufficient_privilege then
	return; -- the next call tries again
end $$;
