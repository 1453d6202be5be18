-- SPDX-License-Identifier: MIT
-- The search index, and the follower that writes it. See 0007_search.sql for the tables.
--
-- The index is only a hint. It lags behind the log. A hit is shown only if the message exists, has the same
-- rev or was never edited (it may have been pinned), and the caller may read it, all in the snapshot of the
-- search. So a deletion, an edit or the removal of a member takes effect at once.

-- The prefix of every word of a message in the index: its segment of 2^13 positions.
-- Callers: search_walk(), search_words().
create function search_tag(p_id bigint) returns text
language sql immutable as $$ select to_hex(p_id >> 13) || ':' $$;

-- The part of a text that is indexed and searched for. Angle brackets are replaced, because the parser would
-- take what is between them for markup. The letter ё counts as е.
-- Callers: search_parse(), search_words().
create function search_plain(p_text text) returns text
language sql immutable as $$ select translate(left(p_text, 32768), 'ёЁ<>', 'еЕ  ') $$;

-- The stems of a text with their places, and its words as written. Words of more than 64 characters are left
-- out.
-- Caller: search_words().
create function search_lexemes(p_text text) returns table (word text, places text)
language sql stable as $$
	select s.lexeme, ':' || array_to_string(s.positions, ',')
	from unnest(to_tsvector('postern.stems', p_text)) s
	where length(s.lexeme) <= 64
	union all
	select w.lexeme, ''
	from unnest(to_tsvector('pg_catalog.simple', p_text)) w
	where length(w.lexeme) <= 64
$$;

-- Returns true for words in which misspellings are looked for: 4 to 32 letters.
-- Callers: search_count_words(), search_similar().
create function search_is_word(p_word text) returns boolean
language sql immutable as $$ select p_word ~ '^[[:alpha:]]{4,32}$' $$;

-- Returns true if a message has media, in a column of its own or in its content.
-- Caller: search_words().
create function search_has_media(m message) returns boolean
language sql stable as $$
	select coalesce(
		nullif(to_jsonb(m) -> 'media', 'null'), nullif(m.content -> 'media', 'null'), '[]'
	) <> '[]'
$$;

-- The entry of a message in the index.
-- Caller: search_follow().
create function search_words(m message) returns tsvector
language sql stable as $$
	select string_agg(
		'''' || search_tag(m.id) || replace(replace(l.word, '\', '\\'), '''', '''''') || ''''
			|| l.places,
		' '
	)::tsvector
	from (
		select *
		from search_lexemes(search_plain(m.text))
		union all
		values ('#' || m.chat_id, ''), ('@' || m.sender, '')
		union all
		select '+media', ''
		where search_has_media(m)
	) l
$$;

-- Adds p_by to the number of messages that have these words. A word that no message has any more is removed.
--   p_words  entries of the index
-- Callers: search_follow(), search_forget().
create function search_count_words(p_words tsvector[], p_by int) returns void
language plpgsql as $$
begin
	insert into search_word as w (word, n)
	select u.word, count(*) * p_by
	from (
		select substr(l, strpos(l, ':') + 1) as word
		from unnest(p_words) t, unnest(tsvector_to_array(t)) l
	) u
	where search_is_word(u.word)
	group by u.word
	order by u.word
	on conflict (word) do update set n = w.n + excluded.n;
	if p_by < 0 then
		delete from search_word w
		where w.n <= 0
			and w.word = any (
				select substr(l, strpos(l, ':') + 1)
				from unnest(p_words) t, unnest(tsvector_to_array(t)) l
			);
	end if;
end $$;

-- Removes messages from the index.
-- Callers: search_follow(), upkeep().
create function search_forget(p_chats bigint[], p_ids bigint[]) returns void
language plpgsql as $$
declare
	v_words tsvector[];
begin
	with gone as (
		delete from search_entry e
		using unnest(p_chats, p_ids) as x (chat, id)
		where e.chat_id = x.chat and e.id = x.id
		returning e.words
	)
	select array_agg(words) into v_words
	from gone;
	if v_words is not null then
		perform search_count_words(v_words, -1);
	end if;
end $$;

-- A step of the follower "search": adds the next p_most changed messages to the index, and removes those that
-- were deleted.
--   p_holder   the node that asks. It works only if it holds the follower, or if nobody does.
--   head, pos  the positions of the log and of the follower
--   age_ms     how long the oldest message that isn't in the index has been waiting
-- Caller: serve/worker.c.
-- Locks: the follower's row; never the log lock.
-- what is lost with a crash is done again
create function search_follow(
	p_holder text,
	p_most int,
	out mine boolean,
	out head bigint,
	out pos bigint,
	out age_ms bigint
)
language plpgsql set synchronous_commit = off as $$
declare
	most_bytes constant int := 256 * 1024; -- of text, plus one message: a step must not take long
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
		select
			array_agg((n.chat_id, n.id, n.rev, n.at, search_words(n.m))::search_entry) filter (
				where n.before < most_bytes
			),
			case
				when count(*) = p_most or max(n.before) >= most_bytes
				then max(n.rev) filter (where n.before < most_bytes)
				else head
			end
		into v_new, v_upto
		from (
			select m.chat_id, m.id, m.rev, m.at, m::message as m,
				sum(coalesce(octet_length(m.text), 0)) over (order by m.rev) - coalesce(
					octet_length(m.text), 0
				) as before
			from (
				select x.*
				from message x
				where x.rev > v.pos and x.rev <= head
				order by x.rev
				limit p_most
			) m
		) n;
		select array_agg(t.chat), array_agg(t.id) into v_chats, v_ids
		from (
			select x.chat_id as chat, x.id
			from tombstone x
			where x.rev > v.pos and x.rev <= v_upto
			union all
			select n.chat_id, n.id
			from unnest(v_new) n
			where n.rev > n.id
		) t;
		if v_chats is not null then
			perform search_forget(v_chats, v_ids);
		end if;
		if v_new is not null then
			insert into search_entry
			select n.*
			from unnest(v_new) n
			order by n.id
			on conflict (chat_id, id) do nothing;
			perform search_count_words((select array_agg(n.words) from unnest(v_new) n), 1);
			insert into search_segment as s
			select n.id >> 13, min(n.at), max(n.at)
			from unnest(v_new) n
			group by 1
			on conflict (segment) do update
			set first_at = least(s.first_at, excluded.first_at),
				last_at = greatest(s.last_at, excluded.last_at)
			where excluded.first_at < s.first_at or excluded.last_at > s.last_at;
		end if;
		update follower f
		set pos = v_upto, holder = p_holder, until = clock_timestamp() + interval '10 s'
		where f.name = 'search' and f.pos = v.pos;
		pos := v_upto;
	end if;
	select (extract(epoch from clock_timestamp() - b.at) * 1000)::bigint into age_ms
	from log_batch b
	where b.upto > search_follow.pos
	order by b.upto
	limit 1;
	age_ms := greatest(coalesce(age_ms, 0), 0);
end $$;

-- Moves the follower "search" past the next changed message, which fails whenever it is added to the index.
-- Deletions before it are applied, and an earlier version of the message is removed from the index. Returns
-- which message that is; null if there is none, or if another node holds the follower.
--   p_holder  the node that asks
-- Caller: serve/worker.c.
-- Locks: the follower's row; never the log lock.
create function search_skip(p_holder text) returns text
language plpgsql as $$
declare
	v follower;
	v_message message;
	v_chats bigint[];
	v_ids bigint[];
begin
	select * into v
	from follower f
	where f.name = 'search' and f.holder = p_holder
	for update;
	select * into v_message from message x where x.rev > v.pos order by x.rev limit 1;
	if v.name is null or v_message.id is null then
		return null;
	end if;
	select array_agg(x.chat_id), array_agg(x.id) into v_chats, v_ids
	from (
		select t.chat_id, t.id
		from tombstone t
		where t.rev > v.pos and t.rev < v_message.rev
		union all
		select v_message.chat_id, v_message.id
	) x;
	perform search_forget(v_chats, v_ids);
	update follower f set pos = v_message.rev where f.name = 'search';
	return 'message ' || v_message.id || ' of chat ' || v_message.chat_id;
end $$;

-- Creates what the search for misspelt words needs, when a node starts. Returns null, or the reason why it
-- failed. The rest of the search works without it.
-- Caller: serve/worker.c.
-- Locks: an advisory lock of its own.
create function search_prepare() returns text
language plpgsql as $$
declare
	v_schema text;
begin
	perform pg_advisory_xact_lock(5788050871298354039); -- nothing else takes this lock
	select x.extnamespace::regnamespace::text into v_schema
	from pg_extension x
	where x.extname = 'pg_trgm';
	if v_schema is null then
		create extension pg_trgm with schema postern;
		v_schema := 'postern';
	end if;
	if to_regclass('postern.search_word_like') is null then
		execute format(
			'create index search_word_like on postern.search_word'
			' using gin (word %s.gin_trgm_ops) with (fastupdate = off)',
			v_schema
		);
	end if;
	return null;
exception when others then
	return format(
		'searches won''t find misspelt words: %s'
		' (let an administrator of the database create the extension pg_trgm, then start again)',
		sqlerrm
	);
end $$;
