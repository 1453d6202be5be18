-- SPDX-License-Identifier: MIT
-- What a search asks for: words, bounds, and how a hit is shown.

-- Up to 20 known words that are like p_word, the most similar first. None without pg_trgm.
-- Caller: search_parse().
create function search_similar(p_word text) returns setof text
language plpgsql stable as $$
declare
	v_schema text;
	v_swapped text[] := array(
		select substr(p_word, 1, i - 1) || substr(p_word, i + 1, 1) || substr(p_word, i, 1)
			|| substr(p_word, i + 2)
		from generate_series(1, length(p_word) - 1) i
	);
begin
	-- Check both: while another node creates them, to_regclass() can see the index although this snapshot
	-- lacks the extension.
	select x.extnamespace::regnamespace::text into v_schema
	from pg_extension x
	where x.extname = 'pg_trgm';
	if v_schema is null or not search_is_word(p_word) or to_regclass('postern.search_word_like') is null
	then
		return;
	end if;
	return query execute format(
		$q$
			select s.word::text
			from (
				select w.word, %1$s.similarity(w.word, $1) as score
				from search_word w
				where w.word operator(%1$s.%%) $1
					and abs(length(w.word) - length($1)) <= 2
				union all
				select w.word, 1
				from search_word w
				where w.word = any ($2)
			) s
			group by s.word
			order by max(s.score) desc, s.word
			limit 20
		$q$,
		v_schema
	) using p_word, v_swapped;
end $$;

-- Parses a query: words, "phrases", prefixes*, and -excluded words.
--   p_fuzzy          each word also matches similar ones
--   template         the text of a tsquery in which chr(1) stands for the tag of each word
--   stems, surfaces  queries for the highlighting: by stem, and as written
-- Caller: search().
-- Errors: 422 empty_text.
create function search_parse(
	p_q text,
	p_fuzzy boolean,
	out template text,
	out stems tsquery,
	out surfaces tsquery
)
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
		-- The index has state-of-the-art as a whole and in parts. Search for the parts, so that it is
		-- found while typing.
		if v_text !~ '["@/.:]' then
			v_text := regexp_replace(v_text, '([[:alpha:]])-(?=[[:alpha:]])', '\1 ', 'g');
		end if;
		if v_text like '"%' then
			v_query := phraseto_tsquery('postern.stems', v_text);
			stems := case when v_not then stems else coalesce(stems || v_query, v_query) end;
		elsif v_text like '%*' and numnode(plainto_tsquery('pg_catalog.simple', v_text)) > 0 then
			v_query := (plainto_tsquery('pg_catalog.simple', v_text)::text || ':*')::tsquery;
			surfaces := case
				when v_not then surfaces
				else coalesce(surfaces || v_query, v_query)
			end;
		else
			v_query := plainto_tsquery('postern.stems', v_text);
			stems := case when v_not then stems else coalesce(stems || v_query, v_query) end;
			if p_fuzzy and not v_not then
				select string_agg('''' || s || '''', ' | ')::tsquery into v_like
				from search_similar(lower(v_text)) s;
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
		perform refuse('empty_text', 'q needs a word to look for.');
	end if;
	template := regexp_replace(v_all::text, '''((?:[^'']|'''')*)''', '''' || chr(1) || '\1''', 'g');
end $$;

-- A bound of a search: a message's id, a date or a time.
-- Caller: search().
-- Errors: 400 bad_parameter.
create function search_bound(p_name text, p_text text, out id bigint, out at timestamptz)
language plpgsql stable as $$
begin
	if p_text ~ '^[0-9]{1,18}$' then
		id := p_text;
	elsif p_text ~* '^[0-9]{4}-[0-9]{2}-[0-9]{2}'
		'(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2}))?$'
	then
		at := case when length(p_text) = 10 then p_text || 'T00:00:00Z' else p_text end;
	elsif p_text is not null then
		perform refuse(
			'bad_parameter',
			format(
				'%s must be a message''s id, a date like 2026-01-31'
				' or a time like 2026-01-31T12:00:00Z.',
				p_name
			)
		);
	end if;
exception when datetime_field_overflow or invalid_datetime_format
	or invalid_time_zone_displacement_value
then
	perform refuse('bad_parameter', format('%s is no date that there is.', p_name));
end $$;

-- The text, or the parts of a long one that have hits. Each hit is between U+0002 and U+0003, which are
-- removed from the text before. "<" is hidden from the parser, which would drop markup.
-- Caller: search().
create function search_snippet(p_text text, p_stems tsquery, p_surfaces tsquery) returns text
language plpgsql stable as $$
declare
	marks constant text := format('StartSel="%s", StopSel="%s"', chr(2), chr(3));
	crop constant text := marks
		|| case
			when length(p_text) <= 200 then ', HighlightAll=true'
			else ', MaxFragments=2, MaxWords=24, MinWords=8, ShortWord=0, FragmentDelimiter=" … "'
		end;
	v_text text := translate(left(p_text, 32768), '<' || chr(1) || chr(2) || chr(3), chr(1));
begin
	if p_stems is null then
		return translate(ts_headline('pg_catalog.simple', v_text, p_surfaces, crop), chr(1), '<');
	end if;
	v_text := ts_headline('postern.stems', v_text, p_stems, crop);
	if p_surfaces is not null then
		v_text := ts_headline(
			'pg_catalog.simple', v_text, p_surfaces, marks || ', HighlightAll=true'
		);
		v_text := replace(replace(v_text, chr(2) || chr(2), chr(2)), chr(3) || chr(3), chr(3));
	end if;
	return translate(v_text, chr(1), '<');
end $$;
