-- SPDX-License-Identifier: MIT
-- How a hit is shown.

-- The pieces of a text: words and what is between them, at most 64 characters each. Joined, they are the text.
-- Caller: search_snippet().
create function search_pieces(p_text text) returns text[]
language sql immutable as $$
	select coalesce(array_agg(x[1] order by n), '{}')
	from regexp_matches(
		p_text,
		'[\u0e01-\u0edf\u1000-\u109f\u1780-\u17d3\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff\u2e80-\u2fdf'
		'\u3005-\u3007\u3021-\u303b\u3041-\u30fa\u30fc-\u31ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff'
		'\U0001f000-\U0001faff\U00020000-\U0003ffff]{1,64}'
		'|[^\u0001-/:-@[-`{-\u00a9\u00ab-\u00ac\u00ae-\u00b1\u00bb\u00bf\u00d7\u00f7\u2000-\u200a\u2010-\u2029'
		'\u202f-\u205f\u20a0-\u20cf\u2190-\u2bff\u2e80-\u31ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff'
		'\uff00-\uff0f\U0001f000-\U0001faff\U00020000-\U0003ffff'
		'\u0e01-\u0edf\u1000-\u109f\u1780-\u17d3]{1,64}'
		'|.',
		'g'
	) with ordinality m (x, n)
$$;

-- A piece with its hit marked; null if it has none. Of a run of special characters only those that are looked
-- for are marked.
-- Caller: search_snippet().
create function search_marked(p_piece text, p_marks text[]) returns text
language plpgsql stable as $$
declare
	v_words text := btrim(search_split(p_piece));
	v_mark text;
	v_marked text := p_piece;
begin
	if v_words = '' then
		return null;
	end if;
	if search_has_special(search_fold(p_piece)) then
		foreach v_mark in array p_marks loop
			if v_mark like '=%' and strpos(v_marked, substr(v_mark, 2)) > 0 then
				v_marked := replace(v_marked, substr(v_mark, 2), chr(2) || substr(v_mark, 2) || chr(3));
			end if;
		end loop;
		if v_marked <> p_piece then
			return replace(replace(v_marked, chr(3) || chr(2), ''), chr(2) || chr(2), chr(2));
		end if;
	end if;
	if tsvector_to_array(to_tsvector('postern.stems', v_words)) && p_marks
		or exists (
			select
			from unnest(p_marks) k, unnest(string_to_array(v_words, ' ')) w
			where k like '^%' and starts_with(w, substr(k, 2))
		)
	then
		return chr(2) || p_piece || chr(3);
	end if;
	return null;
end $$;

-- The text, or the parts of a long one that have hits. Each hit is between U+0002 and U+0003, which are removed
-- from the text before. After p_until hits aren't looked for any more: then it is the beginning of the text.
-- Caller: search().
create function search_snippet(p_text text, p_marks text[], p_until timestamptz) returns text
language plpgsql stable as $$
declare
	most_plain constant int := 200; -- characters of a text that is shown as a whole, or of a beginning
	most_pieces constant int := 48; -- of a fragment: words, and what is between them
	most_chars constant int := 280; -- of a fragment, about
	v_text text := translate(left(p_text, 32768), chr(2) || chr(3), '');
	v_whole boolean := length(v_text) <= most_plain;
	v_pieces text[];
	v_known jsonb := '{}';
	v_from int;
	v_length int := 0;
	v_fragments int := 0;
	v_marked text;
	v_out text := '';
begin
	if clock_timestamp() > p_until then
		return case when v_whole then v_text else left(v_text, most_plain) || ' …' end;
	end if;
	v_pieces := search_pieces(v_text);
	for i in 1 .. cardinality(v_pieces) loop
		if v_known ? v_pieces[i] then
			v_marked := v_known ->> v_pieces[i];
		else
			exit when clock_timestamp() > p_until and not v_whole;
			v_marked := search_marked(v_pieces[i], p_marks);
			v_known := v_known || jsonb_build_object(v_pieces[i], v_marked);
		end if;
		if v_whole then
			v_out := v_out || coalesce(v_marked, v_pieces[i]);
		elsif v_from is not null then -- in a fragment
			v_out := v_out || coalesce(v_marked, v_pieces[i]);
			v_length := v_length + length(v_pieces[i]);
			if i >= v_from + most_pieces or v_length >= most_chars then
				v_from := null;
				exit when v_fragments = 2;
			end if;
		elsif v_marked is not null then
			v_from := greatest(i - 12, 1);
			v_fragments := v_fragments + 1;
			v_out := v_out || case when v_fragments > 1 then ' … ' else '' end
				|| right(array_to_string(v_pieces[v_from : i - 1], ''), 80) || v_marked;
			v_length := length(v_pieces[i]);
		end if;
	end loop;
	return case when v_out = '' then left(v_text, most_plain) || ' …' else v_out end;
end $$;
