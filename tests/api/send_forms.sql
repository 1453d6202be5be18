-- SPDX-License-Identifier: MIT
-- Sends random items in batches to one chat and singly to another one, and raises an exception at the first
-- difference. The settings test.senders (names) and test.chats (two ids) are arrays. Caller: test_send_forms.c.
do $$
declare
	senders constant text[] := current_setting('test.senders');
	texts constant text[] := array['plain', '@' || senders[1] || ' look', '@all', 'é ☃ "quoted" \', null];
	chats constant bigint[] := current_setting('test.chats');
	ids bigint[] := '{}'; -- of stored messages in the first chat
	twins bigint[] := '{}'; -- the same messages in the second one
	keys text[];
	hashes text[];
	froms text[];
	bodies text[];
	kinds text[];
	contents text[];
	replies bigint[];
	twin_replies bigint[];
	n int;
	j int;
	batch record;
	single record;
	left_side text;
	right_side text;
	varying constant text[] := array['id', 'rev', 'chat', 'at', 'reply_to', 'thread', 'expires_at', 'last_reply'];
begin
	perform setseed(0.5);
	for round in 1 .. 60 loop
		n := 1 + floor(random() * 8);
		keys := '{}';
		hashes := '{}';
		froms := '{}';
		bodies := '{}';
		kinds := '{}';
		contents := '{}';
		replies := '{}';
		twin_replies := '{}';
		for i in 1 .. n loop
			froms := froms || senders[1 + floor(random() * cardinality(senders))::int];
			-- No two items of a batch have the same key.
			keys := keys
				|| case when random() < 0.4 then 'again ' || floor(random() * 3) * 10 + i
					else 'new ' || round || ' ' || i end;
			hashes := hashes || case when random() < 0.8 then md5(keys[i]) else 'another' end;
			if random() < 0.2 then
				kinds := kinds || 'x.poll'::text;
				bodies := bodies || null::text;
				contents := contents || '{"b": [1, 2.50], "a": {}}'::text;
			else
				kinds := kinds || null::text;
				bodies := bodies || coalesce(texts[1 + floor(random() * 5)::int], 'other');
				contents := contents || null::text;
			end if;
			-- Half of the items reply to nothing, some to a message that doesn't exist.
			j := 1 + floor(random() * 2 * (cardinality(ids) + 1));
			replies := replies || case when random() < 0.05 then 987654321 else ids[j] end;
			twin_replies := twin_replies
				|| case when replies[i] = 987654321 then replies[i] else twins[j] end;
		end loop;
		j := 0;
		for batch in
			select *
			from send(
				'test', null, null,
				(
					select array_agg(
						(chats[1], froms[i], keys[i], hashes[i], bodies[i], kinds[i],
						contents[i], replies[i], 5, null, null,
						substr(substring(bodies[i] from '@[a-z0-9-]+'), 2))::send_item
						order by i
					)
					from generate_series(1, n) i
				)
			)
		loop
			j := j + 1;
			select *
			into single
			from send_one(
				'test', null, null,
				(chats[2], froms[j], keys[j], hashes[j], bodies[j], kinds[j], contents[j],
				twin_replies[j], 5, null, null,
				substr(substring(bodies[j] from '@[a-z0-9-]+'), 2))::send_item
			);
			if batch.code is null and batch.is_new then
				ids := ids || batch.id;
				twins := twins || single.id;
			end if;
			left_side := concat_ws(
				' ', batch.code, batch.is_new, array_position(ids, batch.id),
				case when batch.code is null then batch.body::jsonb - varying end
			);
			right_side := concat_ws(
				' ', single.code, single.is_new, array_position(twins, single.id),
				case when single.code is null then single.body::jsonb - varying end
			);
			if left_side is distinct from right_side then
				raise exception 'round %, item %, key %: in a batch: %, singly: %', round, j, keys[j],
					left_side, right_side;
			end if;
		end loop;
	end loop;

	if cardinality(ids) = 0 then
		raise exception 'nothing was stored';
	end if;
	for i in 1 .. cardinality(ids) loop
		select concat_ws(
				' ', m.sender, m.type, m.text, m.content, m.mentions, m.replies,
				array_position(ids, m.reply_to), array_position(ids, m.thread),
				array_position(ids, m.last_reply), m.expires_at - m.at, k.key, k.hash
			)
		into left_side
		from message m
		join message_key k on k.chat_id = m.chat_id and k.id = m.id
		where m.chat_id = chats[1] and m.id = ids[i];
		select concat_ws(
				' ', m.sender, m.type, m.text, m.content, m.mentions, m.replies,
				array_position(twins, m.reply_to), array_position(twins, m.thread),
				array_position(twins, m.last_reply), m.expires_at - m.at, k.key, k.hash
			)
		into right_side
		from message m
		join message_key k on k.chat_id = m.chat_id and k.id = m.id
		where m.chat_id = chats[2] and m.id = twins[i];
		if left_side is distinct from right_side then
			raise exception 'message %: in a batch: %, singly: %', i, left_side, right_side;
		end if;
	end loop;

	select string_agg(concat_ws(' ', m.name, array_position(ids, m.id)), ',' order by m.name, m.id)
	into left_side
	from mention m
	where m.chat_id = chats[1];
	select string_agg(concat_ws(' ', m.name, array_position(twins, m.id)), ',' order by m.name, m.id)
	into right_side
	from mention m
	where m.chat_id = chats[2];
	if left_side is distinct from right_side then
		raise exception 'mentions: in a batch: %, singly: %', left_side, right_side;
	end if;
end $$;
