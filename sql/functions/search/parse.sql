-- SPDX-License-Identifier: MIT
-- What a search asks for: words, bounds.

-- The words that are one letter away from p_word: with a letter left out, replaced or added, or with two
-- neighbours swapped. They come from the word alone, not from what anybody has written: else a user could learn
-- which words others use. Null if p_word isn't a word of 4 to 24 Latin, Cyrillic or Greek letters.
-- Caller: search_parse().
create function search_variants(p_word text) returns text[]
language sql immutable as $$
	select array(
		select left(p_word, i - 1) || substr(p_word, i + 1)
		from generate_series(1, length(p_word)) i
		union
		select left(p_word, i - 1) || substr(p_word, i + 1, 1) || substr(p_word, i, 1)
			|| substr(p_word, i + 2)
		from generate_series(1, length(p_word) - 1) i
		union
		select left(p_word, i - 1) || c || substr(p_word, i + k)
		from generate_series(1, length(p_word) + 1) i, unnest(string_to_array(a, null)) c,
			generate_series(0, 1) k
	)
	from (
		select case
			when p_word ~ '^[a-z]{4,24}$' then 'abcdefghijklmnopqrstuvwxyz'
			when p_word ~ '^[\u0430-\u045f\u0491]{4,24}$' then 'абвгдежзийклмнопрстуфхцчшщъыьэюяієґ'
			when p_word ~ '^[\u03b1-\u03c9]{4,24}$' then 'αβγδεζηθικλμνξοπρστυφχψω'
		end as a
	) x
	where a is not null
$$;

-- The stems that words which begin with p_word may have and which don't begin with it themselves: run for runni,
-- since running is indexed as run.
-- Caller: search_parse().
create function search_prefix_stems(p_word text) returns text[]
language sql stable as $$
	select array(
		select l
		from unnest(tsvector_to_array(to_tsvector(
			'postern.stems', coalesce(string_agg(p_word || substr(e, n + 1), ' '), '')
		))) l
		where not starts_with(l, p_word)
	)
	from unnest((
		case
			when p_word ~ '^[a-z]+$' then
				'{s,es,ed,ing,ings,er,ers,est,ly,y,ies,ied,ness,ment,ments,ation,ations,ive,ful,less,'
				'ism,ist,able}'
			when p_word ~ '^[\u0430-\u044f]+$' then
				'{а,я,ы,и,у,ю,е,о,ой,ей,ом,ем,ою,ею,ам,ям,ами,ями,ах,ях,ов,ев,ый,ий,ая,яя,ое,ее,ые,ие,'
				'ого,его,ому,ему,ым,им,ых,их,ыми,ими,ую,юю,ть,ти,л,ла,ло,ли,ет,ит,ют,ят,ут,ат,ешь,ишь,'
				'ете,ите,ал,ала,али,ил,ила,или,ость,ости,остью,ся,сь,ться,ение,ения,ению,ением,ений}'
			else '{}'
		end
	)::text[]) e, generate_series(0, length(e)) n
	where right(p_word, n) = left(e, n) and length(p_word) > n + 1
$$;

-- Parses a query: words, "phrases", prefixes*, and -excluded words. What is written without blanks is a phrase:
-- an address, or words of a script that has none.
--   p_fuzzy  each word also matches those that are one letter away
--   query    what to look for in the index
--   marks    what to mark in snippets: stems; ^ and the beginning of a word; = and characters that are marked
--            wherever they are
-- Caller: search().
-- Errors: 422 empty_text.
create function search_parse(p_q text, p_fuzzy boolean, out query tsquery, out marks text[])
language plpgsql stable as $$
declare
	most_variants constant int := 2000;
	v_part text;
	v_split text;
	v_words text[];
	v_last text;
	v_not boolean;
	v_some boolean := false;
	v_query tsquery;
	v_end tsquery;
	v_stems text[];
	v_variants text[];
	v_left int := most_variants;
begin
	marks := '{}';
	for v_part in select x[1] from regexp_matches(left(p_q, 2000), '-?"[^"]*"?|[^\s"]+', 'g') x loop
		v_not := v_part like '-%';
		v_split := btrim(search_split(v_part));
		v_words := string_to_array(v_split, ' ');
		continue when v_split = '';
		v_last := v_words[cardinality(v_words)];
		v_end := null;
		v_stems := '{}';
		if search_has_special(v_last) and length(v_last) = 1 then
			-- A pair has it already, unless it is alone: then it is the beginning of a pair.
			v_words := trim_array(v_words, 1);
			if cardinality(v_words) = 0 or right(v_words[cardinality(v_words)], 1) <> v_last then
				v_end := ('''' || v_last || ''':*')::tsquery;
			end if;
		elsif v_part like '%*' and v_part not like '%"%' then
			v_words := trim_array(v_words, 1);
			v_stems := search_prefix_stems(v_last);
			v_end := (
				'''' || v_last || ''':*'
				|| coalesce((select string_agg(' | ''' || s || '''', '') from unnest(v_stems) s), '')
			)::tsquery;
			v_stems := array['^' || v_last];
		elsif p_fuzzy and not v_not and cardinality(v_words) = 1 then
			v_variants := search_variants(v_last);
			if cardinality(v_variants) <= v_left then
				v_left := v_left - cardinality(v_variants);
				v_stems := array(
					select l
					from unnest(tsvector_to_array(to_tsvector(
						'postern.stems', array_to_string(v_variants || v_last, ' ')
					))) l
					where exists (select from search_known k where k.hash = hashtext(l))
				);
				select string_agg('''' || s || '''', ' | ')::tsquery into v_end
				from unnest(v_stems) s;
				v_words := case when v_end is null then v_words else '{}' end;
			end if;
		end if;
		v_query := phraseto_tsquery('postern.stems', array_to_string(v_words, ' '));
		v_query := case
			when v_end is null then v_query
			when numnode(v_query) = 0 then v_end
			else tsquery_phrase(v_query, v_end)
		end;
		if v_not then
			v_query := !! v_query;
		else
			v_some := true;
			marks := marks || v_stems
				|| tsvector_to_array(to_tsvector('postern.stems', array_to_string(v_words, ' ')))
				|| array(
					select '=' || x[1]
					from regexp_matches(
						search_fold(v_part),
						'([\u0e01-\u0edf\u1000-\u109f\u1780-\u17d3\u2300-\u23ff\u25a0-\u27bf'
						'\u2b00-\u2bff\u2e80-\u2fdf\u3005-\u3007\u3021-\u303b\u3041-\u30fa'
						'\u30fc-\u31ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff'
						'\U0001f000-\U0001faff\U00020000-\U0003ffff]+)',
						'g'
					) x
				);
		end if;
		query := coalesce(query && v_query, v_query);
	end loop;
	if not v_some then
		perform refuse('empty_text', 'q needs a word to look for.');
	end if;
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
