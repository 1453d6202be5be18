-- SPDX-License-Identifier: MIT
-- The index for searches, second edition: one table for each 2^13 positions of the log (a segment), which the follower creates:
-- postern.search_part_N, N being the segment's number in hexadecimal, with rows of the type search_row. The newest segments have no
-- index, since a scan of so few rows is fast; a segment that gets no more messages is sealed: its table gets its indexes, in bulk.
-- The table of a segment that has become empty is dropped.

-- An entry: words has the stems of the message's text with their places; and as words of their own its chat (#1), its sender
-- (@alice) and whether it has media (+media). No rows are in this table itself: others are made like it.
create table postern.search_row (
	chat_id bigint not null,
	id      bigint not null,
	rev     bigint not null, -- of the message that these are the words of
	at      timestamptz not null,
	words   tsvector not null
);
alter table postern.search_row alter column words set statistics 0; -- no plan depends on it

-- The segments that have a table.
create table postern.search_part (
	segment  bigint primary key,
	first_at timestamptz not null, -- of its messages
	last_at  timestamptz not null,
	entries  bigint not null,      -- rows in its table
	sealed   boolean not null default false
) with (fillfactor = 50);
create index search_part_open on postern.search_part (segment) where not sealed;

-- Hashes of all words that are or were in the index: which of the words that are like a misspelt one are worth looking for. No more
-- than that may depend on it, since it has the words of all users.
create table postern.search_known (
	hash integer primary key
);

-- search_parts goes on from here; search_back comes from here and goes back to the first message. Until it has arrived, the former
-- index (search_entry) is used for messages whose rev it hasn't passed.
insert into postern.follower (name, pos)
select n, coalesce((select max(upto) from postern.log_batch), 0)
from unnest(array['search_parts', 'search_back']) n;
