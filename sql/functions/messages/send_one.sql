-- SPDX-License-Identifier: MIT
-- Stores a single message.

-- Stores a message that was accepted. Returns its JSON and its frame line.
-- Callers: send_one(), send_paced().
-- Locks: the caller holds the log lock.
create function message_store(
	p_id bigint,
	p_at timestamptz,
	p_chat bigint,
	p_sender text,
	p_role text,
	p_key text,
	p_hash text,
	p_text text,
	p_type text,
	p_content text,
	p_reply_to bigint,
	p_received bigint,
	p_ttl int,
	p_forwarded jsonb,
	out body text,
	out line text
)
language plpgsql as $$
declare
	v_expires_at timestamptz := p_at + p_ttl * interval '1 s';
	v_thread bigint;
	v_mentions jsonb;
begin
	if p_reply_to is not null then
		select coalesce(m.thread, m.id) into v_thread
		from message m
		where m.chat_id = p_chat and m.id = p_reply_to;
		update message m
		set replies = coalesce(m.replies, 0) + 1, last_reply = p_id
		where m.chat_id = p_chat and m.id = v_thread;
	end if;
	if strpos(p_text, '@') > 0 then
		v_mentions := mentions_in(p_chat, p_sender, p_role, p_text);
		perform mentions_add(p_chat, p_id, v_mentions);
	end if;
	body := message_text(
		p_id, p_chat, p_sender, stamp(p_at), p_type, p_text, p_content::jsonb, p_id, p_reply_to,
		null, v_thread, v_mentions, p_forwarded, stamp(v_expires_at)
	);
	line := frame_line(p_id, 'message', p_chat::text, p_sender, p_id, p_received, body);
	insert into message (
		chat_id, id, rev, sender, at, type, text, content, reply_to, thread, mentions, forwarded,
		expires_at
	)
	values (
		p_chat, p_id, p_id, p_sender, p_at, p_type, p_text, p_content::jsonb, p_reply_to, v_thread,
		v_mentions, p_forwarded, v_expires_at
	);
	insert into message_key (chat_id, sender, key, id, hash)
	values (p_chat, p_sender, p_key, p_id, p_hash);
end $$;

-- Sends a single message. Same result as send() with one item, but faster: the setup of send()'s large
-- statement takes longer than all of this. Only this function can forward a message, which p_forward_chat and
-- p_forward_id name.
-- Caller: log/batch.c.
-- Locks: the log lock.
-- Errors: PT001 of send_turn(); all others are in the result.
create function send_one(
	p_node text,
	p_turn bigint,
	p_after bigint,
	p_chat bigint,
	p_sender text,
	p_key text,
	p_hash text,
	p_text text,
	p_type text,
	p_content text,
	p_reply_to bigint,
	p_received bigint,
	p_forward_chat bigint default null,
	p_forward_id bigint default null,
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
	v_forwarded jsonb;
begin
	-- Conditions and assignments instead of PERFORM and SELECT INTO, which set up an executor each time.
	if send_turn(p_turn, p_after) is null then
	end if;
	if pg_advisory_xact_lock(log_lock_key()) is null then
	end if;
	select k.id, k.hash into id, v_hash
	from message_key k
	where k.chat_id = p_chat and k.sender = p_sender and k.key = p_key;
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
		left join member m on m.chat_id = p_chat and m.name = p_sender
		left join chat c on c.id = p_chat;
		if p_reply_to is not null then
			v_replied := exists (
				select from message m where m.chat_id = p_chat and m.id = p_reply_to
			);
		end if;
		code := send_refusal(
			v.at, v.state, v.role, v.muted_until, v.floor, v.chat_state, v.gate, p_reply_to,
			v_replied
		);
		if (code is null or code = 'paced') and p_forward_id is not null then
			select m.type, m.text, m.content, m.forwarded
			into p_type, p_text, p_content, v_forwarded
			from forwardable_message(p_sender, p_forward_chat, p_forward_id) m;
			code := case when v_forwarded is null then 'unknown_forward' else code end;
		end if;
		if code = 'paced' then -- the last check, because it counts the message
			select p.code, p.retry_hint into code, body
			from pace_consume(p_chat, p_sender, v.at) p;
		end if;
		is_new := code is null;
	elsif not exists (
		select
		from member m
		join chat c on c.id = m.chat_id
		where m.chat_id = p_chat and m.name = p_sender and m.state = 'joined' and c.state = 'active'
	) then
		code := 'not_found';
	elsif v_hash <> p_hash then
		code := 'key_conflict';
	else
		body := message_current(p_chat, id);
		code := case when body is null then 'gone' end;
	end if;
	if is_new then
		id := v.upto + 1;
		v_stored := message_store(
			id, v.at, p_chat, p_sender, v.role, p_key, p_hash, p_text, p_type, p_content,
			p_reply_to, p_received, v.message_ttl, v_forwarded
		);
		body := v_stored.body;
		checks := log_append(id, id, v.at, v_stored.line, p_node, v.held);
	end if;
end $$;
