-- SPDX-License-Identifier: MIT
-- GET /v1/search. search/index.sql describes the index.
--
-- An answer depends only on what the caller may read and on the number of segments: how far a page reads is
-- bounded by segments, not by time or by hits in others' chats.

-- The query that finds the hits in some segments. Its parameters are those of search_walk(), in order.
-- Caller: search_walk().
create function search_walk_query(p_segments bigint[]) returns text
language sql immutable as $$
	select 'select e.chat_id, e.id, e.rev, case when $7 then ts_rank(e.words, $2, 1) end as rank from ('
		|| string_agg(
			'select chat_id, id, rev, at, words from ' || search_part_name(s)
				|| ' where words @@ $1',
			' union all '
		)
		|| ') e where e.id > $4 and e.id < $5 and ($6 is null or e.at >= $6) and ($8 is null or e.at < $8)'
			' and ($3 -> e.chat_id::text)::bigint < e.id'
	from unnest(p_segments) s
$$;

-- Reads the index from the newest segment back, several segments at once while few hits are found.
--   p_mine            the reader's chats: a JSON object from chat to floor
--   p_filter          what a hit must have beside the words
--   p_lo, p_hi        bounds of the id, both excluded
--   p_since, p_until  bounds of the time, the second one excluded
--   p_ranked          false: returns the newest p_most hits. Else the p_most hits with the best rank after
--                     (p_after_rank, p_after_id). The first page, for which these are null, ends with the
--                     segment that completes 10,000 hits.
--   stopped           set if ids below it were not looked at, for that reason or because it were too many segments
-- Caller: search().
create function search_walk(
	p_mine jsonb,
	p_filter tsquery,
	p_query tsquery,
	p_ranked boolean,
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
language plpgsql stable security definer set search_path from current as $$
declare
	most_ranked constant int := 10000;
	most_segments constant int := 64;
	most_segments_empty constant int := 512; -- while there is no hit
	v_segments bigint[] := array(
		select s.segment
		from search_part s
		where s.segment between p_lo >> 13 and p_hi >> 13
			and s.entries > 0
			and (p_until is null or s.first_at < p_until)
			and (p_since is null or s.last_at >= p_since)
		order by s.segment desc
	);
	v_next int := 1;
	v_size int := 1; -- segments read at once
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
		begin
			execute 'with hit as materialized ('
				|| search_walk_query(v_segments[v_next : v_next + v_size - 1])
				|| ') select array_agg(f.chat_id), array_agg(f.id), array_agg(f.rank),'
					' (select count(*) from hit)'
					' from ('
					'select h.chat_id, h.id, h.rank from ('
					'select * from hit where $9 is null or (hit.rank, hit.id) < ($9, $10)'
					' order by hit.rank desc, hit.id desc'
					') h join message m on m.chat_id = h.chat_id and m.id = h.id'
					' and (m.rev = h.rev or m.edited_at is null)'
					' order by h.rank desc, h.id desc limit $11'
					') f'
			into v_chats, v_ids, v_ranks, v_hits
			using coalesce(p_filter && p_query, p_query), p_query, p_mine, p_lo, p_hi, p_since,
				p_ranked, p_until, p_after_rank, p_after_id,
				case when p_ranked then p_most else p_most - cardinality(ids) end;
			chats := chats || v_chats;
			ids := ids || v_ids;
			ranks := ranks || v_ranks;
			v_total := v_total + v_hits;
		exception when undefined_table then -- dropped since, because it was empty
			if v_size > 1 then
				v_size := 1;
				continue;
			end if;
			v_hits := 0;
		end;
		v_next := v_next + v_size;
		exit when v_next > cardinality(v_segments)
			or (not p_ranked and cardinality(ids) >= p_most);
		if (not p_ranked or p_after_id is null)
			and (
				v_next > case when v_total > 0 then most_segments else most_segments_empty end
				or (p_ranked and v_total >= most_ranked)
			)
		then
			stopped := v_segments[v_next - 1] << 13;
			exit;
		end if;
		v_size := case
			when v_hits < 100 then least(v_size * 2, 32)
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
	v_back bigint := (select f.pos from follower f where f.name = 'search_back');
	v_former record;
	v_before record;
	v_after record;
	v_hi bigint := log_head() + 1;
	v_lo bigint := 0;
	v_hits record;
	v_fuzzy boolean := coalesce(p_cursor ~ '^[fs]', false);
	v_parsed record;
	v_next text;
	v_json text;
	v_until timestamptz; -- of the snippets
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
		string_agg('''#' || m.chat_id || '''', ' | ')
	into v_mine, v_count, v_filter
	from member m
	join chat c on c.id = m.chat_id
	where m.name = p_me
		and m.state = 'joined'
		and c.state = 'active'
		and (v_chat is null or m.chat_id = v_chat);
	-- For up to 20 chats the index filters by chat. For more, hits of other chats are dropped afterwards.
	v_filter := case when v_count between 1 and 20 then '(' || v_filter || ') & ' else '' end
		|| coalesce('''@' || p_from || ''' & ', '')
		|| case when p_has = 'media' then '''+media'' & ' else '' end;
	loop
		v_parsed := search_parse(p_q, v_fuzzy);
		v_hits := search_walk(
			coalesce(v_mine, '{}'), nullif(rtrim(v_filter, '& '), '')::tsquery, v_parsed.query,
			v_ranked, greatest(v_after.id, v_lo - 1, 0), least(v_hi, v_before.id), v_after.at,
			v_before.at, v_cursor[3]::float4, v_cursor[4]::bigint, p_limit + 1
		);
		if v_back > 0 and v_cursor[4] is null and not v_fuzzy then
			v_former := search_former(
				p_q, coalesce(v_mine, '{}'), replace(replace(replace(
					v_filter, '''#', '''' || chr(1) || '#'
				), '''@', '''' || chr(1) || '@'), '''+', '''' || chr(1) || '+'), v_back,
				greatest(v_after.id, v_lo - 1, 0), least(v_hi, v_before.id), v_after.at,
				v_before.at, p_limit + 1
			);
			v_hits.chats := v_hits.chats || v_former.chats;
			v_hits.ids := v_hits.ids || v_former.ids;
			v_hits.ranks := v_hits.ranks || array_fill(
				case when v_ranked then 0::float4 end, array[cardinality(v_former.ids)]
			);
			v_hits.stopped := greatest(v_hits.stopped, v_former.stopped);
		end if;
		exit when p_cursor is not null
			or v_fuzzy
			or cardinality(v_hits.ids) > 0
			or v_hits.stopped is not null;
		v_fuzzy := true;
	end loop;
	v_until := clock_timestamp() + interval '200 ms';
	v_lo := coalesce(case when v_ranked then v_hits.stopped end, v_lo, 0);
	with page as materialized (
		select h.chat, h.id, h.rank, row_number() over (order by h.rank desc, h.id desc) as n
		from unnest(v_hits.chats, v_hits.ids, v_hits.ranks) as h (chat, id, rank)
		where v_ranked or v_hits.stopped is null or h.id >= v_hits.stopped
		order by h.rank desc, h.id desc
		limit p_limit + 1
	)
	select
		string_agg(
			'{"message":' || message_json(m) || ',"snippet":'
				|| to_json(search_snippet(m.text, v_parsed.marks, v_until))::text
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
