-- SPDX-License-Identifier: MIT
-- GET /v1/search. search/index.sql describes the index.

-- Reads the index from the newest segment back, several segments at once while few hits are found.
--   p_mine            the reader's chats: a JSON object from chat to floor
--   p_lo, p_hi        bounds of the id, both excluded
--   p_since, p_until  bounds of the time, the second one excluded
--   p_rank            null: returns the newest p_most hits. Otherwise the p_most hits with the best rank after
--                     (p_after_rank, p_after_id). The first page, for which these are null, ends with the
--                     segment that completes 10,000 hits.
--   stopped           set if ids below it were not looked at, for that reason or because it took too long
-- Caller: search().
create function search_walk(
	p_mine jsonb,
	p_query text,
	p_rank text,
	p_lo bigint,
	p_hi bigint,
	p_since timestamptz,
	p_until timestamptz,
	p_after_rank float4,
	p_after_id bigint,
	p_most int,
	out chats bigint[],
	out ids bigint[],
	out ranks float4[],
	out stopped bigint
)
language plpgsql stable as $$
declare
	most_ranked constant int := 10000;
	v_end timestamptz := clock_timestamp() + interval '30 ms';
	-- no hit yet: stopping early would show that other users have the word
	v_end_empty timestamptz := clock_timestamp() + interval '300 ms';
	v_segments bigint[] := array(
		select s.segment
		from search_segment s
		where s.segment between p_lo >> 13 and p_hi >> 13
			and (p_until is null or s.first_at < p_until)
			and (p_since is null or s.last_at >= p_since)
		order by s.segment desc
	);
	v_next int := 1;
	v_size int := 1; -- segments read at once
	v_query tsquery;
	v_rank tsquery;
	v_hits int;
	v_total int := 0;
	v_chats bigint[];
	v_ids bigint[];
	v_ranks float4[];
begin
	chats := '{}';
	ids := '{}';
	ranks := '{}';
	while v_next <= cardinality(v_segments) loop
		select string_agg('(' || replace(p_query, chr(1), to_hex(s) || ':') || ')', ' | ')::tsquery
		into v_query
		from unnest(v_segments[v_next : v_next + v_size - 1]) s;
		if p_rank is null then
			with hit as materialized (
				select e.chat_id, e.id, e.rev
				from search_entry e
				where e.words @@ v_query
					and e.id > p_lo
					and e.id < p_hi
					and (p_until is null or e.at < p_until)
					and (p_since is null or e.at >= p_since)
					and (p_mine -> e.chat_id::text)::bigint < e.id
			)
			select array_agg(f.chat_id), array_agg(f.id), (select count(*) from hit)
			into v_chats, v_ids, v_hits
			from (
				select h.chat_id, h.id
				from (select * from hit order by hit.id desc) h
				join message m on m.chat_id = h.chat_id
					and m.id = h.id
					and (m.rev = h.rev or m.edited_at is null)
				order by h.id desc
				limit p_most - cardinality(ids)
			) f;
		else
			v_rank := replace(p_rank, chr(1), search_tag(v_segments[v_next] << 13))::tsquery;
			with hit as materialized (
				select e.chat_id, e.id, e.rev,
					ts_rank(
						e.words,
						case
							when v_size = 1 then v_rank
							else replace(
								p_rank, chr(1), search_tag(e.id)
							)::tsquery
						end,
						1
					) as rank
				from search_entry e
				where e.words @@ v_query
					and e.id > p_lo
					and e.id < p_hi
					and (p_until is null or e.at < p_until)
					and (p_since is null or e.at >= p_since)
					and (p_mine -> e.chat_id::text)::bigint < e.id
			)
			select array_agg(f.chat_id), array_agg(f.id), array_agg(f.rank),
				(select count(*) from hit)
			into v_chats, v_ids, v_ranks, v_hits
			from (
				select h.chat_id, h.id, h.rank
				from (
					select *
					from hit
					where p_after_rank is null
						or (hit.rank, hit.id) < (p_after_rank, p_after_id)
					order by hit.rank desc, hit.id desc
				) h
				join message m on m.chat_id = h.chat_id
					and m.id = h.id
					and (m.rev = h.rev or m.edited_at is null)
				order by h.rank desc, h.id desc
				limit p_most
			) f;
			ranks := ranks || v_ranks;
		end if;
		chats := chats || v_chats;
		ids := ids || v_ids;
		v_total := v_total + v_hits;
		v_next := v_next + v_size;
		exit when v_next > cardinality(v_segments)
			or (p_rank is null and cardinality(ids) >= p_most);
		if (p_rank is null or p_after_id is null)
			and (
				clock_timestamp() > case when v_total > 0 then v_end else v_end_empty end
				or (p_rank is not null and v_total >= most_ranked)
			)
		then
			stopped := v_segments[v_next - 1] << 13;
			exit;
		end if;
		v_size := case
			when v_hits < 100 then least(v_size * 2, 64)
			when v_hits > 1000 then 1
			else v_size
		end;
	end loop;
end $$;

-- Searches messages. A cursor is "t" or "f" (f: with similar words) and the id to go on below. By rank it is
-- "r" or "s", the bounds between which the first page was found (an excluded upper and an included lower one),
-- and the rank and id of the last hit.
-- Caller: GET /v1/search.
-- Errors: 400 bad_cursor, bad_parameter; 404 not_found; 422 empty_text.
create function search(
	p_me text,
	p_q text,
	p_chat text,
	p_from text,
	p_before text,
	p_after text,
	p_has text,
	p_order text,
	p_cursor text,
	p_limit int
) returns table (body text)
language plpgsql stable as $$
declare
	v_ranked constant boolean := p_order = 'rank';
	v_cursor text[];
	v_chat bigint;
	v_mine jsonb;
	v_count int;
	v_filter text;
	v_before record;
	v_after record;
	v_hi bigint := log_head() + 1;
	v_lo bigint := 0;
	v_hits record;
	v_fuzzy boolean := coalesce(p_cursor ~ '^[fs]', false);
	v_parsed record;
	v_next text;
	v_json text;
begin
	v_before := search_bound('before', p_before);
	v_after := search_bound('after', p_after);
	if p_cursor is not null then
		v_cursor := regexp_match(
			p_cursor,
			case
				when v_ranked then
					'^[rs]([0-9]{1,18})_([0-9]{1,18})'
					'_([0-9](?:\.[0-9]{1,16})?(?:e-[0-9]{1,2})?)_([0-9]{1,18})$'
				else '^[tf]([0-9]{1,18})$'
			end
		);
		if v_cursor is null then
			perform refuse('bad_cursor', 'cursor is none of this search.');
		end if;
		v_hi := least(v_hi, v_cursor[1]::bigint);
		v_lo := v_cursor[2];
	end if;
	if p_chat is not null then
		v_chat := (membership(p_me, chat_of(p_me, p_chat))).chat_id;
	end if;
	select jsonb_object_agg(m.chat_id, m.floor), count(*),
		string_agg('''' || chr(1) || '#' || m.chat_id || '''', ' | ')
	into v_mine, v_count, v_filter
	from member m
	join chat c on c.id = m.chat_id
	where m.name = p_me
		and m.state = 'joined'
		and c.state = 'active'
		and (v_chat is null or m.chat_id = v_chat);
	-- For up to 20 chats the index filters by chat. For more, hits of other chats are dropped afterwards.
	v_filter := case when v_count between 1 and 20 then '(' || v_filter || ') & ' else '' end
		|| coalesce('''' || chr(1) || '@' || p_from || ''' & ', '')
		|| case when p_has = 'media' then '''' || chr(1) || '+media'' & ' else '' end;
	loop
		v_parsed := search_parse(p_q, v_fuzzy);
		v_hits := search_walk(
			coalesce(v_mine, '{}'), v_filter || '(' || v_parsed.template || ')',
			case when v_ranked then v_parsed.template end, greatest(v_after.id, v_lo - 1, 0),
			least(v_hi, v_before.id), v_after.at, v_before.at, v_cursor[3]::float4,
			v_cursor[4]::bigint, p_limit + 1
		);
		exit when p_cursor is not null
			or v_fuzzy
			or cardinality(v_hits.ids) > 0
			or v_hits.stopped is not null;
		v_fuzzy := true;
	end loop;
	v_lo := coalesce(case when v_ranked then v_hits.stopped end, v_lo, 0);
	with page as materialized (
		select h.chat, h.id, h.rank, row_number() over (order by h.rank desc, h.id desc) as n
		from unnest(v_hits.chats, v_hits.ids, v_hits.ranks) as h (chat, id, rank)
		order by h.rank desc, h.id desc
		limit p_limit + 1
	)
	select
		string_agg(
			'{"message":' || message_json(m) || ',"snippet":'
				|| to_json(search_snippet(m.text, v_parsed.stems, v_parsed.surfaces))::text
				|| '}',
			','
			order by page.n
		),
		case
			when (select count(*) from page) > p_limit then (
				select case
					when v_ranked then
						case when v_fuzzy then 's' else 'r' end || v_hi || '_'
							|| v_lo || '_' || l.rank || '_' || l.id
					else case when v_fuzzy then 'f' else 't' end || l.id
				end
				from page l
				where l.n = p_limit
			)
			when v_hits.stopped is not null and not v_ranked
			then case when v_fuzzy then 'f' else 't' end || v_hits.stopped
		end
	into v_json, v_next
	from page
	join message m on m.chat_id = page.chat and m.id = page.id
	where page.n <= p_limit;
	body := '{"results":[' || coalesce(v_json, '') || ']' || coalesce(',"next":"' || v_next || '"', '')
		|| case when v_fuzzy and v_json is not null then ',"fuzzy":true' else '' end
		|| case when v_lo > 0 then ',"truncated":true' else '' end || '}';
	return next;
end $$;
