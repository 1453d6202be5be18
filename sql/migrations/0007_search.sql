-- SPDX-License-Identifier: MIT
-- Followers, and the index of words that one of them keeps. Nothing here is on the path of a send, and nothing here is the truth:
-- what a search finds is held against the message itself.

-- A follower is a name and how far it has come in the log. One worker at a time works for it: the holder, until its lease runs out.
create table postern.follower (
	name   text collate "C" primary key,
	pos    bigint not null default 0,
	holder text,
	until  timestamptz not null default '-infinity'
) with (fillfactor = 50);
insert into postern.follower (name) values ('search');

-- Russian words lose their Russian endings, Latin ones their English; nothing is too common to be looked for.
create text search dictionary postern.russian_stems (template = pg_catalog.snowball, language = russian);
create text search dictionary postern.english_stems (template = pg_catalog.snowball, language = english);
create text search configuration postern.stems (copy = pg_catalog.russian);
alter text search configuration postern.stems alter mapping replace pg_catalog.russian_stem with postern.russian_stems;
alter text search configuration postern.stems alter mapping replace pg_catalog.english_stem with postern.english_stems;

-- The words of a message: its stems, with their places, and the words as they were written; and as words of their own its chat
-- (#1), its sender (@alice) and whether it has media (+media). Each begins with the segment, the message's id / 2^13 in
-- hexadecimal: so the index is one index a segment, and is read from the newest back until a page is full.
create table postern.search_entry (
	chat_id bigint not null,
	id      bigint not null,
	rev     bigint not null, -- of the message that these are the words of
	at      timestamptz not null,
	words   tsvector not null,
	primary key (chat_id, id)
);
-- Without a list of what is yet to be sorted in: every search would read all of it, once a segment.
create index search_entry_words on postern.search_entry using gin (words) with (fastupdate = off);
alter table postern.search_entry alter column words set statistics 0; -- no plan depends on it

-- The segments that there are, and the times of their first and last message.
create table postern.search_segment (
	segment  bigint primary key,
	first_at timestamptz not null,
	last_at  timestamptz not null
) with (fillfactor = 50);

-- The words that are in use, and in how many messages: among them are looked for those that are like one that isn't found.
create table postern.search_word (
	word text collate "C" primary key,
	n    bigint not null
) with (fillfactor = 70);
