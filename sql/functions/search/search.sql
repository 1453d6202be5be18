-- SPDX-License-Identifier: MIT
-- Search: the follower that keeps the index of words, and the question. See 0007_search.sql for the tables.
--
-- The index is only a hint: it lags behind the log, and what it finds is shown if the message is there, at the same rev or (it may have been
-- pinned) never edited, and the asker may read it, all in the snapshot of his question. So what was deleted or edited, and who was removed, counts at once.

-- What stands before every word of a message in the index.
create function search_tag(p_id bigint) returns text
language sql immutable as $$ select to_hex(p_id >> 13) || ':' $$;

-- What is indexed of a text, and looked for. The parser would take what stands between angle brackets for markup.
create function search_plain(p_text text) returns text
language sql immutable as $$ select translate(left(p_text, 32768), 'ёЁ<>', 'еЕ  ') $$;

-- The stems with their places, and the words as they were written. What is longer than a name isn't a word.
create function search_lexemes(p_text text) returns table (word text, places text)
language sql stable as $$
	select s.lexeme, ':' || array_to_string(s.positions, ',') from unnest(to_tsvector('postern.stems', p_text)) s where length(s.lexeme) <= 64
	union all
	select w.lexeme, '' from unnest(to_tsvector('pg_catalog.simple', p_text)) w where length(w.lexeme) <= 64
$$;

-- Words of a message in which people may err: letters, and enough of them.
create function search_is_word(p_word text) returns boolean
language sql immutable as $$ select p_word ~ '^[[:alpha:]]{4,32}$' $$;

-- The media of a message, wherever it keeps them.
create function search_has_media(m message) returns boolean
language sql stable as $$
	select coalesce(nullif(to_jsonb(m) -> 'media', 'null'), nullif(m.content -> 'media', 'null'), '[]') <> '[]'
$$;

create function search_words(m message) returns tsvector
language sql stable as $$
	select string_agg('''' || search_tag(m.id) || replace(replace(l.word, '\', '\\'), '''', '''''') || '''' || l.places, ' ')::tsvector
	from (
		select * from search_lexemes(search_plain(m.text))
		union all values ('#' || m.chat_id, ''), ('@' || m.sender, '')
		union all select '+media', '' where search_has_media(m)) l
$$;

-- p_by more or fewer messages with these words (as in the index, with their tags); a word that no message has is forgotten.
create function search_count_words(p_words tsvector[], p_by int) returns void
language plpgsql as $$
begin
	insert into search_word as w (word, n)
		select u.word, count(*) * p_by
			from (select substr(l, strpos(l, ':') + 1) as word from unnest(p_words) t, unnest(tsvector_to_array(t)) l) u
			where search_is_word(u.word) group by u.word order by u.word
		on conflict (word) do update set n = w.n + excluded.n;
	if p_by < 0 then
		delete from search_word w where w.n <= 0 and w.word = any (
			select substr(l, strpos(l, ':') + 1) from unnest(p_words) t, unnest(tsvector_to_array(t)) l);
	end if;
end $$;

-- Takes these messages out of the index.
create function search_forget(p_chats bigint[], p_ids bigint[]) returns void
language plpgsql as $$
declare
	v_words tsvector[];
begin
	with gone as (
		delete from search_entry e using unnest(p_chats, p_ids) as x (chat, id) where e.chat_id = x.chat and e.id = x.id returning e.words
	) select array_agg(words) into v_words from gone;
	if v_words is not null then
		perform search_count_words(v_words, -1);
	end if;
end $$;

-- A step of the follower "search": the next p_most changed messages after its position go into the index, what was deleted up to there goes
-- out. p_holder: who asks; works only for the holder, or when there is none. head, pos: where the log and the follower are; age_ms: how
-- long the oldest message that isn't in the index has been waiting. Lock: the follower's row; never the log's.
-- Errors: none of its own. Once and no more: the position moves with what was written.
create function search_follow(p_holder text, p_most int, out mine boolean, out head bigint, out pos bigint, out age_ms bigint)
language plpgsql
set synchronous_commit = off -- what is lost with a crash is done again
as $$
declare
	most_bytes constant int := 256 * 1024; -- of text, and that of one message more: a step must not take long
	v follower;
	v_upto bigint;
	v_new search_entry[];
	v_chats bigint[];
	v_ids bigint[];
begin
	select * into v from follower f where f.name = 'search' for update skip locked;
	mine := found and (v.holder is null or v.holder = p_holder or v.until < clock_timestamp());
	head := log_head();
	pos := coalesce(v.pos, (select f.pos from follower f where f.name = 'search'));
	if mine then
		select array_agg((n.chat_id, n.id, n.rev, n.at, search_words(n.m))::search_entry) filter (where n.before < most_bytes),
				case when count(*) = p_most or max(n.before) >= most_bytes then max(n.rev) filter (where n.before < most_bytes) else head end
			into v_new, v_upto
			from (select m.chat_id, m.id, m.rev, m.at, m::message as m,
					sum(coalesce(octet_length(m.text), 0)) over (order by m.rev) - coalesce(octet_length(m.text), 0) as before
				from (select x.* from message x where x.rev > v.pos and x.rev <= head order by x.rev limit p_most) m) n;
		select array_agg(t.chat), array_agg(t.id) into v_chats, v_ids from (
			select x.chat_id as chat, x.id from tombstone x where x.rev > v.pos and x.rev <= v_upto
			union all select n.chat_id, n.id from unnest(v_new) n where n.rev > n.id) t;
		if v_chats is not null then
			perform search_forget(v_chats, v_ids);
		end if;
		if v_new is not null then
			insert into search_entry select n.* from unnest(v_new) n order by n.id on conflict (chat_id, id) do nothing;
			perform search_count_words((select array_agg(n.words) from unnest(v_new) n), 1);
			insert into search_segment as s select n.id >> 13, min(n.at), max(n.at) from unnest(v_new) n group by 1
				on conflict (segment) do update set first_at = least(s.first_at, excluded.first_at), last_at = greatest(s.last_at, excluded.last_at)
				where excluded.first_at < s.first_at or excluded.last_at > s.last_at;
		end if;
		update follower f set pos = v_upto, holder = p_holder, until = clock_timestamp() + interval '10 s'
			where f.name = 'search' and f.pos = v.pos;
		pos := v_upto;
	end if;
	select (extract(epoch from clock_timestamp() - b.at) * 1000)::bigint into age_ms
		from log_batch b where b.upto > search_follow.pos order by b.upto limit 1;
	age_ms := greatest(coalesce(age_ms, 0), 0);
end $$;

-- At a node's start: what misspelt words need. Null, or why there is nothing of the kind: the rest of search doesn't need it.
create function search_prepare() returns text
language plpgsql as $$
declare
	v_schema text;
begin
	perform pg_advisory_xact_lock(5788050871298354039); -- no other work waits for it
	select x.extnamespace::regnamespace::text into v_schema from pg_extension x where x.extname = 'pg_trgm';
	if v_schema is null then
		create extension pg_trgm with schema postern;
		v_schema := 'postern';
	end if;
	if to_regclass('postern.search_word_like') is null then
		execute format('create index search_word_like on postern.search_word using gin (word %s.gin_trgm_ops) with (fastupdate = off)', v_schema);
	end if;
	return null;
exception when others then
	return format('searches won''t find misspelt words: %s (let an administrator of the database create the extension pg_trgm, then start again)', sqlerrm);
end $$;

-- Up to 20 words in use that are like p_word, the likest first; none without pg_trgm.
create function search_similar(p_word text) returns setof text
language plpgsql stable as $$
declare
	v_schema text;
	v_swapped text[] := array(select substr(p_word, 1, i - 1) || substr(p_word, i + 1, 1) || substr(p_word, i, 1) || substr(p_word, i + 2)
		from generate_series(1, length(p_word) - 1) i);
begin
	-- Both are looked for: while another node makes them, the index is there already, and this statement's snapshot lacks the extension.
	select x.extnamespace::regnamespace::text into v_schema from pg_extension x where x.extname = 'pg_trgm';
	if v_schema is null or not search_is_word(p_word) or to_regclass('postern.search_word_like') is null then
		return;
	end if;
	return query execute format($q$
		select s.word::text from (
			select w.word, %1$s.similarity(w.word, $1) as score from search_word w
				where w.word operator(%1$s.%%) $1 and abs(length(w.word) - length($1)) <= 2
			union all
			select w.word, 1 from search_word w where w.word = any ($2)) s
		group by s.word order by max(s.score) desc, s.word limit 20 $q$, v_schema) using p_word, v_swapped;
end $$;

-- The question as the text of a tsquery, in which chr(1) stands where each word's tag belongs, and as one for the highlighting. In q:
-- words, "phrases", beginnings*, and -what isn't wanted. p_fuzzy: each word may be one like it.
create function search_parse(p_q text, p_fuzzy boolean, out template text, out stems tsquery, out surfaces tsquery)
language plpgsql stable as $$
declare
	v_part text;
	v_text text;
	v_not boolean;
	v_some boolean := false;
	v_query tsquery;
	v_like tsquery;
	v_all tsquery;
begin
	for v_part in select x[1] from regexp_matches(search_plain(p_q), '-?"[^"]*"?|[^\s"]+', 'g') x loop
		v_not := v_part like '-%';
		v_text := ltrim(v_part, '-');
		-- Of state-of-the-art the index has the whole and the parts: by these it is found while it is being typed.
		if v_text !~ '["@/.:]' then
			v_text := regexp_replace(v_text, '([[:alpha:]])-(?=[[:alpha:]])', '\1 ', 'g');
		end if;
		if v_text like '"%' then
			v_query := phraseto_tsquery('postern.stems', v_text);
			stems := case when v_not then stems else coalesce(stems || v_query, v_query) end;
		elsif v_text like '%*' and numnode(plainto_tsquery('pg_catalog.simple', v_text)) > 0 then
			v_query := (plainto_tsquery('pg_catalog.simple', v_text)::text || ':*')::tsquery;
			surfaces := case when v_not then surfaces else coalesce(surfaces || v_query, v_query) end;
		else
			v_query := plainto_tsquery('postern.stems', v_text);
			stems := case when v_not then stems else coalesce(stems || v_query, v_query) end;
			if p_fuzzy and not v_not then
				select string_agg('''' || s || '''', ' | ')::tsquery into v_like from search_similar(lower(v_text)) s;
				v_query := coalesce(v_query || v_like, v_query);
				surfaces := coalesce(surfaces || v_like, surfaces, v_like);
			end if;
		end if;
		continue when numnode(v_query) = 0;
		v_some := v_some or not v_not;
		v_query := case when v_not then !! v_query else v_query end;
		v_all := coalesce(v_all && v_query, v_query);
	end loop;
	if not v_some then
		perform refuse(422, 'empty_text', 'q needs a word to look for.');
	end if;
	template := regexp_replace(v_all::text, '''((?:[^'']|'''')*)''', '''' || chr(1) || '\1''', 'g');
end $$;

-- Reads the index from the newest segment back, several at once while little is found, for what p_mine (chat: floor) lets its reader see
-- with an id between p_lo and p_hi, both excluded, and a time from p_since to before p_until.
-- By time (p_rank null): the newest p_most. By rank: the p_most best after (p_after_rank, p_after_id); the first page, where these are
-- null, ends with the segment in which there are 10,000. stopped: it hasn't looked at the ids below, because of that or because it took long.
create function search_walk(p_mine jsonb, p_query text, p_rank text, p_lo bigint, p_hi bigint, p_since timestamptz, p_until timestamptz,
	p_after_rank float4, p_after_id bigint, p_most int, out chats bigint[], out ids bigint[], out ranks float4[], out stopped bigint)
language plpgsql stable as $$
declare
	most_ranked constant int := 10000;
	v_end timestamptz := clock_timestamp() + interval '30 ms';
	v_end_empty timestamptz := clock_timestamp() + interval '300 ms'; -- nothing of his yet: to stop early would tell that others use the word
	v_segments bigint[] := array(select s.segment from search_segment s where s.segment between p_lo >> 13 and p_hi >> 13
		and (p_until is null or s.first_at < p_until) and (p_since is null or s.last_at >= p_since) order by s.segment desc);
	v_next int := 1;
	v_size int := 1; -- segments at once
	v_query tsquery;
	v_rank tsquery;
	v_hits int;
	v_total int := 0;
	v_chats bigint[];
	v_ids bigint[];
	v_ranks float4[];
begin
	chats := '{}'; ids := '{}'; ranks := '{}';
	while v_next <= cardinality(v_segments) loop
		select string_agg('(' || replace(p_query, chr(1), to_hex(s) || ':') || ')', ' | ')::tsquery into v_query
			from unnest(v_segments[v_next : v_next + v_size - 1]) s;
		if p_rank is null then
			with hit as materialized (
				select e.chat_id, e.id, e.rev from search_entry e where e.words @@ v_query and e.id > p_lo and e.id < p_hi
					and (p_until is null or e.at < p_until) and (p_since is null or e.at >= p_since) and (p_mine -> e.chat_id::text)::bigint < e.id
			)
			select array_agg(f.chat_id), array_agg(f.id), (select count(*) from hit) into v_chats, v_ids, v_hits from (
				select h.chat_id, h.id from (select * from hit order by hit.id desc) h
					join message m on m.chat_id = h.chat_id and m.id = h.id and (m.rev = h.rev or m.edited_at is null)
					order by h.id desc limit p_most - cardinality(ids)) f;
		else
			v_rank := replace(p_rank, chr(1), search_tag(v_segments[v_next] << 13))::tsquery;
			with hit as materialized (
				select e.chat_id, e.id, e.rev, ts_rank(e.words, case when v_size = 1 then v_rank
						else replace(p_rank, chr(1), search_tag(e.id))::tsquery end, 1) as rank
					from search_entry e where e.words @@ v_query and e.id > p_lo and e.id < p_hi
					and (p_until is null or e.at < p_until) and (p_since is null or e.at >= p_since) and (p_mine -> e.chat_id::text)::bigint < e.id
			)
			select array_agg(f.chat_id), array_agg(f.id), array_agg(f.rank), (select count(*) from hit) into v_chats, v_ids, v_ranks, v_hits from (
				select h.chat_id, h.id, h.rank from (
					select * from hit where p_after_rank is null or (hit.rank, hit.id) < (p_after_rank, p_after_id) order by hit.rank desc, hit.id desc) h
					join message m on m.chat_id = h.chat_id and m.id = h.id and (m.rev = h.rev or m.edited_at is null)
					order by h.rank desc, h.id desc limit p_most) f;
			ranks := ranks || v_ranks;
		end if;
		chats := chats || v_chats;
		ids := ids || v_ids;
		v_total := v_total + v_hits;
		v_next := v_next + v_size;
		exit when v_next > cardinality(v_segments) or (p_rank is null and cardinality(ids) >= p_most);
		if (p_rank is null or p_after_id is null) and (clock_timestamp() > case when v_total > 0 then v_end else v_end_empty end
				or (p_rank is not null and v_total >= most_ranked)) then
			stopped := v_segments[v_next - 1] << 13;
			exit;
		end if;
		v_size := case when v_hits < 100 then least(v_size * 2, 64) when v_hits > 1000 then 1 else v_size end;
	end loop;
end $$;

-- The text, or the parts of a long one that the hits are in: each between U+0002 and U+0003, which are taken out of the text first.
-- < is hidden from the parser, which would drop markup.
create function search_snippet(p_text text, p_stems tsquery, p_surfaces tsquery) returns text
language plpgsql stable as $$
declare
	marks constant text := format('StartSel="%s", StopSel="%s"', chr(2), chr(3));
	crop constant text := marks || case when length(p_text) <= 200 then ', HighlightAll=true'
		else ', MaxFragments=2, MaxWords=24, MinWords=8, ShortWord=0, FragmentDelimiter=" … "' end;
	v_text text := translate(left(p_text, 32768), '<' || chr(1) || chr(2) || chr(3), chr(1));
begin
	if p_stems is null then
		return translate(ts_headline('pg_catalog.simple', v_text, p_surfaces, crop), chr(1), '<');
	end if;
	v_text := ts_headline('postern.stems', v_text, p_stems, crop);
	if p_surfaces is not null then
		v_text := ts_headline('pg_catalog.simple', v_text, p_surfaces, marks || ', HighlightAll=true');
		v_text := replace(replace(v_text, chr(2) || chr(2), chr(2)), chr(3) || chr(3), chr(3));
	end if;
	return translate(v_text, chr(1), '<');
end $$;

-- A bound of a search: a message's id, or a date or time.
create function search_bound(p_name text, p_text text, out id bigint, out at timestamptz)
language plpgsql stable as $$
begin
	if p_text ~ '^[0-9]{1,18}$' then
		id := p_text;
	elsif p_text ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2}))?$' then
		at := case when length(p_text) = 10 then p_text || 'T00:00:00Z' else p_text end;
	elsif p_text is not null then
		perform refuse(400, 'bad_parameter',
			format('%s must be a message''s id, a date like 2026-01-31 or a time like 2026-01-31T12:00:00Z.', p_name));
	end if;
exception when datetime_field_overflow or invalid_datetime_format then
	perform refuse(400, 'bad_parameter', format('%s is no date that there is.', p_name));
end $$;

-- GET /v1/search. A cursor is t or f (f: with words that are like the asked ones) and the id to go on below, or, by rank, r or s, the ids
-- between which the first page was found (to before, from), and the rank and id of the last hit.
create function search(p_me text, p_q text, p_chat text, p_from text, p_before text, p_after text, p_has text, p_order text, p_cursor text,
	p_limit int) returns table (body text)
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
	v_question record;
	v_next text;
	v_json text;
begin
	v_before := search_bound('before', p_before);
	v_after := search_bound('after', p_after);
	if p_cursor is not null then
		v_cursor := regexp_match(p_cursor, case when v_ranked
			then '^[rs]([0-9]{1,18})_([0-9]{1,18})_([0-9](?:\.[0-9]{1,16})?(?:e-[0-9]{1,2})?)_([0-9]{1,18})$' else '^[tf]([0-9]{1,18})$' end);
		if v_cursor is null then
			perform refuse(400, 'bad_cursor', 'cursor is none of this search.');
		end if;
		v_hi := least(v_hi, v_cursor[1]::bigint);
		v_lo := v_cursor[2];
	end if;
	if p_chat is not null then
		v_chat := (membership(p_me, chat_of(p_me, p_chat))).chat_id;
	end if;
	select jsonb_object_agg(m.chat_id, m.floor), count(*), string_agg('''' || chr(1) || '#' || m.chat_id || '''', ' | ')
		into v_mine, v_count, v_filter
		from member m join chat c on c.id = m.chat_id
		where m.name = p_me and m.state = 'joined' and c.state = 'active' and (v_chat is null or m.chat_id = v_chat);
	-- Of few chats the index gives the messages; of many it gives those of all chats, and what isn't his is let go.
	v_filter := case when v_count between 1 and 20 then '(' || v_filter || ') & ' else '' end
		|| coalesce('''' || chr(1) || '@' || p_from || ''' & ', '')
		|| case when p_has = 'media' then '''' || chr(1) || '+media'' & ' else '' end;
	loop
		v_question := search_parse(p_q, v_fuzzy);
		v_hits := search_walk(coalesce(v_mine, '{}'), v_filter || '(' || v_question.template || ')',
			case when v_ranked then v_question.template end,
			greatest(v_after.id, v_lo - 1, 0), least(v_hi, v_before.id), v_after.at, v_before.at, v_cursor[3]::float4, v_cursor[4]::bigint,
			p_limit + 1);
		exit when p_cursor is not null or v_fuzzy or cardinality(v_hits.ids) > 0 or v_hits.stopped is not null;
		v_fuzzy := true;
	end loop;
	v_lo := coalesce(case when v_ranked then v_hits.stopped end, v_lo, 0);
	with page as materialized (
		select h.chat, h.id, h.rank, row_number() over (order by h.rank desc, h.id desc) as n
			from unnest(v_hits.chats, v_hits.ids, v_hits.ranks) as h (chat, id, rank) order by h.rank desc, h.id desc limit p_limit + 1
	)
	select string_agg('{"message":' || message_json(m) || ',"snippet":'
			|| to_json(search_snippet(m.text, v_question.stems, v_question.surfaces))::text || '}', ',' order by page.n),
			case when (select count(*) from page) > p_limit then
				(select case when v_ranked then case when v_fuzzy then 's' else 'r' end || v_hi || '_' || v_lo || '_' || l.rank || '_' || l.id
					else case when v_fuzzy then 'f' else 't' end || l.id end from page l where l.n = p_limit)
				when v_hits.stopped is not null and not v_ranked then case when v_fuzzy then 'f' else 't' end || v_hits.stopped end
		into v_json, v_next from page join message m on m.chat_id = page.chat and m.id = page.id where page.n <= p_limit;
	body := '{"results":[' || coalesce(v_json, '') || ']' || coalesce(',"next":"' || v_next || '"', '')
		|| case when v_fuzzy and v_json is not null then ',"fuzzy":true' else '' end
		|| case when v_lo > 0 then ',"truncated":true' else '' end || '}';
	return next;
end $$;
