-- SPDX-License-Identifier: MIT
-- The words of a text: the one place that says what a word is. The index, queries, the marks of snippets, and the
-- search for people and channels all use search_split().

-- A text in the form in which words are compared: NFKC, lower case, without diacritics (е for ё, but й stays й)
-- and without characters that aren't seen. Depends on no locale for ASCII, Latin, Greek and Cyrillic letters.
-- Caller: search_split().
create function search_fold(p_text text) returns text
language sql immutable as $$
	select case
		when octet_length(p_text) = length(p_text) then lower(p_text collate "C")
		else replace(replace(replace(
			lower(
				lower(translate(
					normalize(
						regexp_replace(
							replace(replace(
								normalize(p_text, NFKD), U&'\0438\0306', 'й'
							), U&'\0418\0306', 'й'),
							'[\u00ad\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf'
							'\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a'
							'\u0640\u064b-\u065f\u0670'
							'\u06d6-\u06dc\u06df-\u06e4\u180b-\u180e\u1ab0-\u1aff'
							'\u1dc0-\u1dff\u200b-\u200f\u202a-\u202e\u2060-\u206f'
							'\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f\ufeff'
							'\U0001f3fb-\U0001f3ff]',
							'', 'g'
						),
						NFC
					),
					'АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯІЄЂЈЉЊЋЏ'
					'ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣςΤΥΦΧΨΩØøŁłĐđĦħŦŧı',
					'абвгдежзийклмнопрстуфхцчшщъыьэюяієђјљњћџ'
					'αβγδεζηθικλμνξοπρσστυφχψωoollddhhtti'
				) collate "C")
			),
			'ß', 'ss'
		), 'æ', 'ae'), 'œ', 'oe')
	end
$$;

-- Returns true if a folded text has characters that are words by other rules: those of scripts that are written
-- without blanks, those of Korean, whose words have endings, and emoji.
-- Callers: search_split(), search_marked().
create function search_has_special(p_text text) returns boolean
language sql immutable as $$
	select octet_length(p_text) > length(p_text)
		and p_text ~ '[\u0e01-\u0edf\u1000-\u109f\u1780-\u17d3\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff'
			'\u2e80-\u2fdf\u3005-\u3007\u3021-\u303b\u3041-\u30fa\u30fc-\u31ff\u3400-\u9fff'
			'\uac00-\ud7a3\uf900-\ufaff\U0001f000-\U0001faff\U00020000-\U0003ffff]'
$$;

-- The words of a run of such characters. Each emoji is a word, by its number. Of other scripts every two
-- neighbours are, and the last character.
-- Caller: search_split().
create function search_special_words(p_run text) returns text
language sql immutable as $$
	select string_agg(
		case
			when c ~ '[\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]' then 'zx' || to_hex(ascii(c))
			when next is null or next ~ '[\u2300-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]' then c
			else c || next
		end,
		' '
		order by i
	)
	from (
		select u.c, u.i, lead(u.c) over (order by u.i) as next
		from unnest(string_to_array(p_run, null)) with ordinality u (c, i)
	) x
$$;

-- The words of a text, folded, in their order, with a blank between two: every run of letters and digits of one
-- script, cut to 64 characters. PostgreSQL's parser takes each of them for one word, so that it never looks for
-- addresses and paths in what users write, which can take it seconds.
-- Callers: search_words(), search_parse(), search_marked(), search_name_matches().
create function search_split(p_text text) returns text
language plpgsql immutable as $$
declare
	t text := search_fold(left(p_text, 32768));
begin
	if octet_length(t) = length(t) then
		t := regexp_replace(t, '[^a-z0-9]+', ' ', 'g');
	else
		if search_has_special(t) then
			select string_agg(
				case when x[1] is null then x[2] else ' ' || search_special_words(x[1]) || ' ' end,
				''
				order by n
			)
			into t
			from regexp_matches(
				t,
				'([\u0e01-\u0edf\u1000-\u109f\u1780-\u17d3\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff'
				'\u2e80-\u2fdf\u3005-\u3007\u3021-\u303b\u3041-\u30fa\u30fc-\u31ff\u3400-\u9fff'
				'\uac00-\ud7a3\uf900-\ufaff\U0001f000-\U0001faff\U00020000-\U0003ffff]+)'
				'|([^\u0e01-\u0edf\u1000-\u109f\u1780-\u17d3\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff'
				'\u2e80-\u2fdf\u3005-\u3007\u3021-\u303b\u3041-\u30fa\u30fc-\u31ff\u3400-\u9fff'
				'\uac00-\ud7a3\uf900-\ufaff\U0001f000-\U0001faff\U00020000-\U0003ffff]+)',
				'g'
			) with ordinality m (x, n);
		end if;
		t := regexp_replace(
			t,
			'[\u0001-/:-`{-\u00a9\u00ab-\u00b1\u00b4\u00b6-\u00b8\u00bb\u00bf\u00d7\u00f7\u02c2-\u02df'
			'\u037e\u0387\u055a-\u055f\u0589\u058a\u05be\u05c0\u05c3\u05c6\u05f3\u05f4'
			'\u0600-\u060f\u061b-\u061f\u066a-\u066d\u06d4\u0700-\u070d\u0964\u0965\u0970'
			'\u0e2f\u0e3f\u0e4f\u0e5a\u0e5b\u0f04-\u0f14\u104a-\u104f\u10fb\u1361-\u1368\u1400'
			'\u166e\u169b\u169c\u16eb-\u16ed\u17d4-\u17db\u1800-\u180a\u2000-\u206f\u20a0-\u20cf'
			'\u2100-\u22ff\u2400-\u259f\u27c0-\u2aff\u2cf9-\u2cff\u2e00-\u2e7f\u3000-\u3004'
			'\u3008-\u3020\u3030\u303d\u30a0\u30fb\ua4fe\ua4ff\ua60d-\ua60f\ua6f2-\ua6f7\ud800-\uf8ff'
			'\ufd3e\ufd3f\ufe10-\ufe1f\ufe30-\ufe6f\uff00-\uff0f\uff1a-\uff20\ufff0-\uffff'
			'\U000e0000-\U0010ffff]+',
			' ', 'g'
		);
		if t ~ '[a-z]' then
			t := regexp_replace(t, '([a-z])(?=[\u0370-\u1dff])', '\1 ', 'g');
			t := regexp_replace(t, '([\u0370-\u1dff])(?=[a-z])', '\1 ', 'g');
		end if;
	end if;
	if length(t) > 64 and t ~ '[^ ]{65}' then
		t := regexp_replace(t, '([^ ]{64})[^ ]+', '\1', 'g');
	end if;
	return t;
end $$;

-- Returns true if the words of a name begin with those of a query, from any of its words on: for people and
-- channels. Names of Latin and Russian letters without diacritics, the most, are compared without search_split().
-- Callers: users(), channels().
create function search_name_matches(p_name text, p_words text) returns boolean
language sql immutable as $$
	select strpos(
		' ' || case
			when p_name ~ '^[A-Za-z0-9 \u0410-\u044f]*$'
			then translate(
				lower(p_name collate "C"), 'АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ',
				'абвгдежзийклмнопрстуфхцчшщъыьэюя'
			)
			else ltrim(search_split(p_name))
		end,
		' ' || p_words
	) > 0
$$;

-- The words of a query for search_name_matches(). Null if p_q is null; a text that no name has, if it has no
-- words.
-- Callers: users(), channels().
create function search_name_words(p_q text) returns text
language sql immutable as $$ select coalesce(nullif(btrim(search_split(p_q)), ''), '?' || p_q) $$;
