-- SPDX-License-Identifier: MIT
-- The functions with which the scenarios fill a database, in their own schema. Rows have rev 0, which is below every
-- position, so that no stream replays them. tests/bench/postern.c loads this file once per database.

create schema bench;

-- Creates user1 … userN. The benchmark inserts their tokens (pt_1 …), because it has to hash them.
create function bench.users(p_n int) returns void
language sql as $$
	insert into postern.account (name, created_at, rev)
	select 'user' || i, now(), 0 from generate_series(1, p_n) i
$$;

-- Puts users p_from … p_upto in groups of p_size, in order; the groups are p_first, p_first + 1, …
create function bench.groups(p_first bigint, p_size int, p_from int, p_upto int) returns void
language sql as $$
	insert into postern.chat (id, kind, title, members_count, created_at, created_by, rev)
	select p_first + g, 'group', 'group', p_size, now(), 'user' || p_from, 0
	from generate_series(0, (p_upto - p_from) / p_size) g;
	insert into postern.member (chat_id, name, state, since, rev)
	select p_first + (i - p_from) / p_size, 'user' || i, 'joined', 0, 0
	from generate_series(p_from, p_upto) i
$$;

-- Creates direct chats of user p_with with each of users p_from … p_upto; the chats are p_first, p_first + 1, …
create function bench.directs(p_first bigint, p_with int, p_from int, p_upto int) returns void
language sql as $$
	insert into postern.chat (id, kind, pair, members_count, created_at, created_by, rev)
	select p_first + i - p_from, 'direct',
		least('user' || p_with, 'user' || i) || ' ' || greatest('user' || p_with, 'user' || i), 2,
		now(), 'user' || p_with, 0
	from generate_series(p_from, p_upto) i;
	insert into postern.member (chat_id, name, state, since, rev)
	select p_first + i - p_from, n, 'joined', 0, 0
	from generate_series(p_from, p_upto) i, unnest(array['user' || p_with, 'user' || i]) n
$$;

-- Makes each of users 1 … p_users a member of p_each of the chats p_first … p_first + p_chats - 1, evenly, and user
-- p_poster a member of all of them.
create function bench.mesh(p_first bigint, p_users int, p_chats int, p_each int, p_poster int) returns void
language sql as $$
	insert into postern.chat (id, kind, title, members_count, created_at, created_by, rev)
	select p_first + c, 'group', 'group', p_users / p_chats * p_each + 1, now(), 'user' || p_poster, 0
	from generate_series(0, p_chats - 1) c;
	insert into postern.member (chat_id, name, state, since, rev)
	select p_first + (u + k * (p_chats / p_each)) % p_chats, 'user' || u, 'joined', 0, 0
	from generate_series(1, p_users) u, generate_series(0, p_each - 1) k;
	insert into postern.member (chat_id, name, state, since, rev)
	select p_first + c, 'user' || p_poster, 'joined', 0, 0 from generate_series(0, p_chats - 1) c
$$;

-- Inserts n messages in a chat and sets the log's head after them. No server may follow the database meanwhile.
create function bench.fill(p_chat bigint, p_n bigint) returns void
language sql as $$
	insert into postern.message (chat_id, id, rev, sender, at, text)
	select p_chat, i, i, 'user1', now(), 'message ' || i || ', of some length, as people write them'
	from generate_series(1, p_n) i;
	insert into postern.log_batch (upto, at) values (p_n, now())
$$;

-- The table of the naive design: each message is one transaction with a row and a notification.
create table bench.naive (
	id bigserial primary key,
	chat bigint not null,
	sender text not null,
	at timestamptz not null default now(),
	text text not null
);

-- Returns the k-th most frequent word. The corpus uses it about 1/k as often as the first, as in natural language:
-- word 1 is in most messages, word 50000 in a few. The words differ enough for a typo to be recognised.
create function bench.word(p_k int) returns text
language sql immutable as $$
	select (array[
			'ka', 'to', 'mi', 're', 'su', 'no', 'ha', 'li', 'be', 'do', 'pa', 've', 'zu', 'go', 'fi', 'ne',
			'ро', 'ма', 'ти', 'ле', 'но', 'ва', 'си', 'ду', 'пе'
		])[1 + p_k % 25]
		|| (array[
			'lan', 'mer', 'tis', 'rok', 'vun', 'sal', 'dim', 'pon', 'gar', 'hex', 'wim', 'fol', 'jas',
			'ket', 'bru', 'стр', 'лин', 'нок', 'тар', 'вес'
		])[1 + p_k / 25 % 20]
		|| (array[
			'a', 'en', 'or', 'ist', 'um', 'ia', 'el', 'ov', 'ing', 'ed', 'er', 'est', 'on', 'us', 'ar',
			'ом', 'ами', 'ка', 'ить', 'ный'
		])[1 + p_k / 500 % 20]
		|| case
			when p_k >= 10000 then (array['man', 'ter', 'son', 'vil', 'мир'])[1 + p_k / 10000 % 5]
			else ''
		end
$$;

-- Inserts p_n messages of 4 to 16 such words in the chats 1 … p_chats, in turn, and sets the log's head after them. No
-- server may follow the database meanwhile.
create function bench.corpus(p_chats int, p_n bigint) returns void
language sql as $$
	select setseed(0.5);
	insert into postern.message (chat_id, id, rev, sender, at, text)
	select 1 + i * 7919 % p_chats, i, i, 'user' || 1 + i % 2, now() - (p_n - i) * interval '10 s',
		(
			select string_agg(bench.word(floor(50000 ^ random())::int), ' ')
			from generate_series(1, 4 + (i % 13)::int)
		)
	from generate_series(1, p_n) i;
	insert into postern.log_batch (upto, at) values (p_n, now())
$$;

-- Indexes all messages, as the follower does.
create procedure bench.index()
language plpgsql as $$
declare
	v record;
begin
	loop
		v := search_follow('bench', 1000, 1000);
		commit;
		exit when not v.more;
	end loop;
	update postern.follower set holder = null;
end $$;

-- Returns the i-th query of a kind, percent-encoded.
create function bench.query(p_kind text, p_i int) returns text
language sql stable as $$
	select regexp_replace(encode(convert_to(
		case p_kind
			when 'a rare word' then bench.word(20000 + p_i * 29 % 30000)
			when 'a frequent word' then bench.word(1 + p_i % 20)
			when 'a two-letter prefix' then left(bench.word(p_i), 2) || '*'
			when 'a typo' then overlay(
				w placing case p_i % 3
					when 0 then ''
					when 1 then 'x'
					else substr(w, 4, 1) || substr(w, 3, 1)
				end
				from 3 for case p_i % 3 when 2 then 2 else 1 end
			)
			else '"' || split_part(m.text, ' ', 2) || ' ' || split_part(m.text, ' ', 3) || '"'
		end,
		'UTF8'), 'hex'), '(..)', '%\1', 'g')
	from (select bench.word(1 + p_i * 4999 % 50000) as w, p_i * 1009::bigint % 1000000 + 1 as id) x
	left join postern.message m on m.chat_id = 1 + x.id * 7919 % 1000 and m.id = x.id
$$;
