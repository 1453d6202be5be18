-- SPDX-License-Identifier: MIT
-- Sends messages: send() a batch in one statement, send_one() a single message, send_paced() an item of a batch
-- whose chat limits its members. The last two store by message_store(). All decide by send_refusal().
-- tests/api/test_send_forms holds the two forms equal.
--
-- A send has a key. A key that is known decides the result alone: the message that it created, or an error if
-- the body differs. So a send that is repeated after a lost connection happens once.

-- A message to send. log/batch.c writes the fields in this order.
create type send_item as (
	chat bigint,
	sender text,
	key text,
	hash text, -- of everything in the item that its sender wrote
	text text,
	type text,
	content text,
	reply_to bigint,
	received bigint, -- when the request came in, in µs since 1970
	forward_chat bigint, -- the message to forward, instead of text, type and content: send_one() only
	forward_id bigint,
	names text -- that the text mentions: see mentions_in()
);

-- The code of the reason why a message isn't stored; null if it may be. The rows of the member and the chat
-- come as parts, null if there is none. "paced" means: ask pace_consume().
--   p_at       the time of the send
--   p_replied  the message that it replies to exists
-- Callers: require_writer(), send(), send_one(), typing().
create function send_refusal(
	p_at timestamptz,
	p_member_state text,
	p_role text,
	p_muted_until timestamptz,
	p_floor bigint,
	p_chat_state text,
	p_gate text,
	p_reply_to bigint,
	p_replied boolean
) returns text
language sql immutable as $$
	select case
		when p_member_state is distinct from 'joined' or p_chat_state is distinct from 'active'
		then 'not_found'
		when p_muted_until > p_at then 'muted'
		when p_gate = 'admins' and p_role = 'member' then 'forbidden'
		when p_gate = 'barred' then 'blocked'
		when p_gate = 'abandoned' then 'user_deleted'
		when p_reply_to <= p_floor or not p_replied then 'unknown_reply_to'
		when p_gate = 'paced' and p_role = 'member' then 'paced'
	end
$$;

-- The message's present JSON; null if it was deleted.
-- Callers: send(), send_one().
create function message_current(p_chat bigint, p_id bigint) returns text
language sql stable as $$
	select message_json(m) from message m where m.chat_id = p_chat and m.id = p_id
$$;

-- Lets a batch commit only after the batch before it on the same connection. The setting postern.turn holds
-- the last turn that committed.
--   p_turn   the batch's number on its connection
--   p_after  the number of the batch that must have committed; null: none
-- Callers: send(), send_one().
-- Errors: PT001 if that batch has failed.
create function send_turn(p_turn bigint, p_after bigint) returns void
language plpgsql as $$
begin
	if p_after is not null and current_setting('postern.turn', true) is distinct from p_after::text then
		raise exception 'the batch before this one has failed' using errcode = 'PT001';
	end if;
	if set_config('postern.turn', p_turn::text, false) is null then
	end if;
end $$;

-- Sends a batch of messages in one transaction. Returns a row an item: its code (null: it is stored), its id,
-- the message's JSON, and what log_append() returned.
-- For a 429, body has the limit a minute and the seconds to wait. One bad item never fails the others.
--
-- The checks, in this order: an item whose key is known is answered with the first result (404 if its sender
-- is no longer a member, 409 key_conflict if the body differs, 410 gone if the message was deleted since);
-- then those of send_refusal(). No two items have the same chat, sender and key; the worker puts the second
-- one into the next batch.
--   p_node           the sending node
--   p_turn, p_after  see send_turn()
-- Caller: log/batch.c.
-- Locks: the log lock.
-- Errors: PT001 of send_turn(); errors of single items are in the result.
create function send(
	p_node text,
	p_turn bigint,
	p_after bigint,
	p_items send_item[]
) returns table (code text, id bigint, body text, is_new boolean, checks text)
language plpgsql as $$
declare
	v_head bigint;
	v_at timestamptz;
	v_check bigint; -- of the head
	v_stamp text;
	v_last bigint; -- the position of the last accepted item; null: none
	v_last_recheck int; -- the last item that needs a second look: key known, or gate 'paced'
	v_replied boolean; -- a message replies to another
	v_mentioned boolean; -- a text mentions somebody
	v record;
	v_lines text;
	v_chat bigint[];
	v_code text[];
	v_id bigint[];
	v_body text[];
	v_new boolean[];
begin
	perform send_turn(p_turn, p_after);
	perform pg_advisory_xact_lock(log_lock_key()); -- log_begin(), without the cost of a call
	select b.upto, greatest(clock_timestamp(), b.at), batch_check(b.at, b.mark)
	into strict v_head, v_at, v_check
	from log_batch b
	order by b.upto desc
	limit 1;
	v_stamp := stamp(v_at);

	with checked as (
		select i.*,
			k.id as known_id,
			v_head + i.ordinality as new_id, -- used if the item is accepted
			coalesce(r.thread, r.id) as thread,
			v_at + c.message_ttl * interval '1 s' as expires_at,
			case
				when i.names is not null then mentions_in(
					i.chat, i.sender, m.role, i.names
				)
			end as mentions,
			case
				when k.id is not null
					and (
						m.state is distinct from 'joined'
						or c.state is distinct from 'active'
					)
				then 'not_found'
				when k.hash <> i.hash then 'key_conflict'
				when k.id is null then send_refusal(
					v_at, m.state, m.role, m.muted_until, m.floor, c.state, c.gate,
					i.reply_to, i.reply_to is null or r.id is not null
				)
			end as code
		from unnest(p_items) with ordinality as i
		-- One look-up an item by primary key. The plan is cached: a join could be planned for empty tables.
		left join lateral (
			select x.id, x.hash
			from message_key x
			where x.chat_id = i.chat and x.sender = i.sender and x.key = i.key
			limit 1
		) k on true
		left join lateral (
			select x.state, x.role, x.muted_until, x.floor
			from member x
			where x.chat_id = i.chat and x.name = i.sender
			limit 1
		) m on true
		left join lateral (
			select x.state, x.gate, x.message_ttl from chat x where x.id = i.chat limit 1
		) c on true
		left join lateral (
			select x.id, x.thread
			from message x
			where x.chat_id = i.chat and x.id = i.reply_to
			limit 1
		) r on true
	), rendered as (
		select j.*, j.known_id is null and j.code is null as is_new,
			case
				when j.known_id is null and j.code is null
				then message_text(
					j.new_id, j.chat, j.sender, v_stamp, j.type, j.text,
					j.content::jsonb, j.new_id, j.reply_to, null, j.thread, j.mentions,
					null, stamp(j.expires_at)
				)
			end as json
		from checked j
	), stored as (
		insert into message (
			chat_id, id, rev, sender, at, type, text, content, reply_to, thread, mentions,
			expires_at
		)
		select r.chat, r.new_id, r.new_id, r.sender, v_at, r.type, r.text, r.content::jsonb,
			r.reply_to, r.thread, r.mentions, r.expires_at
		from rendered r
		where r.is_new
	), stored_key as (
		insert into message_key (chat_id, sender, key, id, hash)
		select r.chat, r.sender, r.key, r.new_id, r.hash
		from rendered r
		where r.is_new
	)
	select max(r.new_id) filter (where r.is_new), bool_or(r.reply_to is not null and r.is_new),
		bool_or(r.mentions is not null and r.is_new),
		max(r.ordinality) filter (where r.known_id is not null or r.code = 'paced'),
		string_agg(
			frame_line(
				r.new_id, 'message', r.chat::text, r.sender, r.new_id, r.received, r.json
			),
			''
		) filter (where r.is_new),
		array_agg(r.chat), array_agg(r.code), array_agg(case when r.is_new then r.new_id else r.known_id end),
		array_agg(r.json), array_agg(r.is_new)
	into v_last, v_replied, v_mentioned, v_last_recheck, v_lines, v_chat, v_code, v_id, v_body,
		v_new
	from rendered r;

	if v_replied then
		perform threads_count_replies(v_chat, v_id, v_new);
	end if;
	if v_mentioned then
		perform mentions_add_batch(v_chat, v_id, v_new);
	end if;
	for i in 1 .. coalesce(v_last_recheck, 0) loop
		if v_code[i] is null and not v_new[i] then
			v_body[i] := message_current(v_chat[i], v_id[i]);
			v_code[i] := case when v_body[i] is null then 'gone' end;
		elsif v_code[i] = 'paced' then -- one at a time: each counts for the next
			v := send_paced(coalesce(v_last, v_head) + 1, v_at, p_items[i]);
			v_code[i] := v.code;
			v_body[i] := v.body;
			if v.code is null then
				v_last := coalesce(v_last, v_head) + 1;
				v_id[i] := v_last;
				v_new[i] := true;
				v_lines := concat(v_lines, v.line);
			end if;
		end if;
	end loop;
	if v_last is not null then
		checks := log_append(v_head + 1, v_last, v_at, v_lines, p_node, v_check);
	end if;
	return query
		select u.*, send.checks
		from unnest(v_code, v_id, v_body, v_new) as u (code, id, body, is_new);
end $$;

-- Stores a message that was accepted. Returns its JSON and its frame line. What is forwarded has no names, and
-- so mentions nobody.
--   p_forward  the message that is forwarded; null: none
-- Callers: send_one(), send_paced().
-- Locks: the caller holds the log lock.
create function message_store(
	p_id bigint,
	p_at timestamptz,
	p_item send_item,
	p_role text,
	p_ttl int,
	p_forward message,
	out body text,
	out line text
)
language plpgsql as $$
declare
	-- What is forwarded doesn't outlive the message that it comes from.
	v_expires_at timestamptz := least(p_at + p_ttl * interval '1 s', p_forward.expires_at);
	v_thread bigint;
	v_mentions jsonb;
begin
	if p_item.reply_to is not null then
		select coalesce(m.thread, m.id) into v_thread
		from message m
		where m.chat_id = p_item.chat and m.id = p_item.reply_to;
		update message m
		set replies = coalesce(m.replies, 0) + 1, last_reply = p_id
		where m.chat_id = p_item.chat and m.id = v_thread;
	end if;
	if p_item.names is not null then
		v_mentions := mentions_in(p_item.chat, p_item.sender, p_role, p_item.names);
		perform mentions_add(p_item.chat, p_id, v_mentions);
	end if;
	body := message_text(
		p_id, p_item.chat, p_item.sender, stamp(p_at), p_item.type, p_item.text,
		p_item.content::jsonb, p_id, p_item.reply_to, null, v_thread, v_mentions, p_forward.forwarded,
		stamp(v_expires_at)
	);
	line := frame_line(p_id, 'message', p_item.chat::text, p_item.sender, p_id, p_item.received, body);
	insert into message (
		chat_id, id, rev, sender, at, type, text, content, reply_to, thread, mentions, forwarded,
		expires_at
	)
	values (
		p_item.chat, p_id, p_id, p_item.sender, p_at, p_item.type, p_item.text,
		p_item.content::jsonb, p_item.reply_to, v_thread, v_mentions, p_forward.forwarded, v_expires_at
	);
	insert into message_key (chat_id, sender, key, id, hash)
	values (p_item.chat, p_item.sender, p_item.key, p_id, p_item.hash);
end $$;

-- Sends an item of a batch whose chat has the gate "paced", after send() has found no other reason against it.
--   p_id  its position
-- Caller: send().
-- Locks: the caller holds the log lock.
create function send_paced(
	p_id bigint,
	p_at timestamptz,
	p_item send_item,
	out code text,
	out body text,
	out line text
)
language plpgsql as $$
begin
	select p.code, p.retry_hint into code, body from pace_consume(p_item.chat, p_item.sender, p_at) p;
	if code is not null then
		return;
	end if;
	select m.body, m.line into body, line
	from message_store(
		p_id, p_at, p_item, 'member',
		(select c.message_ttl from chat c where c.id = p_item.chat), null
	) m;
end $$;

-- Sends a single message. Same result as send() with one item, but faster: the setup of send()'s large
-- statement takes longer than all of this. Only this function can forward a message.
-- Caller: log/batch.c.
-- Locks: the log lock.
-- Errors: PT001 of send_turn(); all others are in the result.
create function send_one(
	p_node text,
	p_turn bigint,
	p_after bigint,
	p_item send_item,
	out code text,
	out id bigint,
	out body text,
	out is_new boolean,
	out checks text
)
language plpgsql as $$
declare
	v record;
	v_stored record;
	v_hash text;
	v_replied boolean := true;
	v_forward message;
begin
	-- Conditions and assignments instead of PERFORM and SELECT INTO, which set up an executor each time.
	if send_turn(p_turn, p_after) is null then
	end if;
	if pg_advisory_xact_lock(log_lock_key()) is null then
	end if;
	select k.id, k.hash into id, v_hash
	from message_key k
	where k.chat_id = p_item.chat and k.sender = p_item.sender and k.key = p_item.key;
	is_new := id is null;
	if is_new then
		select b.upto, b.at, b.held, m.state, m.role, m.muted_until, m.floor, c.state as chat_state,
			c.gate, c.message_ttl
		into v
		from (
			select x.upto, greatest(clock_timestamp(), x.at) as at,
				batch_check(x.at, x.mark) as held
			from log_batch x
			order by x.upto desc
			limit 1
		) b
		left join member m on m.chat_id = p_item.chat and m.name = p_item.sender
		left join chat c on c.id = p_item.chat;
		if p_item.reply_to is not null then
			v_replied := exists (
				select from message m where m.chat_id = p_item.chat and m.id = p_item.reply_to
			);
		end if;
		code := send_refusal(
			v.at, v.state, v.role, v.muted_until, v.floor, v.chat_state, v.gate, p_item.reply_to,
			v_replied
		);
		if (code is null or code = 'paced') and p_item.forward_id is not null then
			v_forward := forwardable_message(
				p_item.sender, p_item.forward_chat, p_item.forward_id
			);
			p_item.type := v_forward.type;
			p_item.text := v_forward.text;
			p_item.content := v_forward.content;
			code := case when v_forward.id is null then 'unknown_forward' else code end;
		end if;
		if code = 'paced' then -- the last check, because it counts the message
			select p.code, p.retry_hint into code, body
			from pace_consume(p_item.chat, p_item.sender, v.at) p;
		end if;
		is_new := code is null;
	elsif not exists (
		select
		from member m
		join chat c on c.id = m.chat_id
		where m.chat_id = p_item.chat
			and m.name = p_item.sender
			and m.state = 'joined'
			and c.state = 'active'
	) then
		code := 'not_found';
	elsif v_hash <> p_item.hash then
		code := 'key_conflict';
	else
		body := message_current(p_item.chat, id);
		code := case when body is null then 'gone' end;
	end if;
	if is_new then
		id := v.upto + 1;
		v_stored := message_store(id, v.at, p_item, v.role, v.message_ttl, v_forward);
		body := v_stored.body;
		checks := log_append(id, id, v.at, v_stored.line, p_node, v.held);
	end if;
end $$;
