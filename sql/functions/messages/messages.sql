-- SPDX-License-Identifier: MIT
-- Messages: the batch that sends them, edit, delete, history.

-- Why an item isn't stored that is sent at p_at and whose key is new; null: it is. The sender's member row and the chat's row come in
-- parts, null when there is none; p_replied: whether the message that it replies to is there. paced: if pace_take() lets it through.
create function refusal(p_at timestamptz, p_member_state text, p_role text, p_muted_until timestamptz, p_floor bigint, p_chat_state text, p_gate text,
	p_reply_to bigint, p_replied boolean) returns text
language sql immutable as $$
	select case when p_member_state is distinct from 'joined' or p_chat_state is distinct from 'active' then 'not_found'
		when p_muted_until > p_at then 'muted'
		when p_gate = 'admins' and p_role = 'member' then 'forbidden'
		when p_gate = 'barred' then 'blocked'
		when p_gate = 'abandoned' then 'user_deleted'
		when p_reply_to <= p_floor or not p_replied then 'unknown_reply_to'
		when p_gate = 'paced' and p_role = 'member' then 'paced' end
$$;

-- The message as it is now; null: it was deleted.
create function message_now(p_chat bigint, p_id bigint) returns text
language sql stable as $$
	select message_json(m) from message m where m.chat_id = p_chat and m.id = p_id
$$;

create function send_status(p_code text) returns int
language sql immutable as $$
	select case p_code when 'key_conflict' then 409 when 'gone' then 410 when 'not_found' then 404 when 'unknown_reply_to' then 422
		when 'unknown_forward' then 422 when 'muted' then 403 when 'forbidden' then 403 when 'blocked' then 403 when 'user_deleted' then 403
		when 'slow_mode' then 429 when 'chat_rate_limited' then 429 else 201 end
$$;

-- What is sent in turn p_turn comes after turn p_after, or not at all. The turn is remembered if the transaction commits.
create function send_turn(p_turn bigint, p_after bigint) returns void
language plpgsql as $$
begin
	if p_after is not null and current_setting('postern.turn', true) is distinct from p_after::text then
		raise exception 'the batch before this one has failed' using errcode = 'PT001';
	end if;
	if set_config('postern.turn', p_turn::text, false) is null then
	end if;
end $$;

-- Sends a batch: every array has one entry an item. One transaction, whatever becomes of the single items: each gets a row
-- with its status (201, or that of its refusal with a code), and the message's JSON (429: how many a minute, and seconds to wait), and what
-- log_append() gives;
-- 410 when its key's message was deleted since.
-- Caller: the worker's batcher. Lock: the log. Order of the checks: for a member a key that is known decides alone (the first result; 409 for
-- another body), whoever has left learns nothing more by it; then those of refusal().
-- No two items have the same chat, sender and key: the batcher leaves the second one for the next batch.
--   p_turn      the batch's number on its connection; it is remembered if the batch commits
--   p_after     that of the batch which must have committed before this one, sent behind it without waiting; null: none
--   p_hash      of everything in the item that its sender wrote
--   p_type, p_content, p_reply_to  null when no item has one
--   p_received  when the request came in, µs since 1970
create function send(p_node text, p_turn bigint, p_after bigint, p_chat bigint[], p_sender text[], p_key text[], p_hash text[], p_text text[], p_type text[],
	p_content text[], p_reply_to bigint[], p_received bigint[])
	returns table (status int, code text, id bigint, body text, is_new boolean, checks text)
language plpgsql
as $$
declare
	v_head bigint;
	v_at timestamptz;
	v_check bigint; -- the head's
	v_stamp text;
	v_last bigint; -- position of the last item that is accepted; null: none is
	v_again int; -- items up to the last that is looked at again: its key is known, or its chat has a pace
	v_mentioned boolean; -- somebody is, in some text
	v record;
	v_lines text;
	v_code text[];
	v_id bigint[];
	v_body text[];
	v_new boolean[];
begin
	perform send_turn(p_turn, p_after);
	perform pg_advisory_xact_lock(log_lock_key()); -- log_begin(), without the cost of its call
	select b.upto, greatest(clock_timestamp(), b.at), batch_check(b.at, b.mark) into strict v_head, v_at, v_check
		from log_batch b order by b.upto desc limit 1;
	v_stamp := stamp(v_at);

	with judged as (
		select i.*, k.id as known_id, v_head + i.ord as new_id, -- not every one is used
				coalesce(r.thread, r.id) as thread, v_at + c.message_ttl * interval '1 s' as expires_at,
				case when strpos(i.text, '@') > 0 then mentions_in(i.chat, i.sender, m.role, i.text) end as mentions,
				case when k.id is not null and (m.state is distinct from 'joined' or c.state is distinct from 'active') then 'not_found'
					when k.hash <> i.hash then 'key_conflict' when k.id is null then
					refusal(v_at, m.state, m.role, m.muted_until, m.floor, c.state, c.gate, i.reply_to, i.reply_to is null or r.id is not null) end as code
			from unnest(p_chat, p_sender, p_key, p_hash, p_text, p_type, p_content, p_reply_to, p_received) with ordinality
				as i (chat, sender, key, hash, text, type, content, reply_to, received, ord)
			-- One look-up an item, by primary key: the plan is kept, and a join would be planned for the empty tables of the first day.
			left join lateral (select x.id, x.hash from message_key x where x.chat_id = i.chat and x.sender = i.sender and x.key = i.key limit 1) k on true
			left join lateral (select x.state, x.role, x.muted_until, x.floor from member x where x.chat_id = i.chat and x.name = i.sender limit 1) m on true
			left join lateral (select x.state, x.gate, x.message_ttl from chat x where x.id = i.chat limit 1) c on true
			left join lateral (select x.id, x.thread from message x where x.chat_id = i.chat and x.id = i.reply_to limit 1) r on true
	), rendered as (
		select j.*, j.known_id is null and j.code is null as is_new, case when j.known_id is null and j.code is null then
				message_text(j.new_id, j.chat, j.sender, v_stamp, j.type, j.text, j.content::jsonb, j.new_id, j.reply_to, null,
					j.thread, j.mentions, null, stamp(j.expires_at)) end as json
			from judged j
	), born as (
		insert into message (chat_id, id, rev, sender, at, type, text, content, reply_to, thread, mentions, expires_at)
			select r.chat, r.new_id, r.new_id, r.sender, v_at, r.type, r.text, r.content::jsonb, r.reply_to, r.thread, r.mentions, r.expires_at from rendered r where r.is_new
	), keyed as (
		insert into message_key (chat_id, sender, key, id, hash)
			select r.chat, r.sender, r.key, r.new_id, r.hash from rendered r where r.is_new
	)
	select max(r.new_id) filter (where r.is_new), bool_or(r.mentions is not null and r.is_new), max(r.ord) filter (where r.known_id is not null or r.code = 'paced'),
			string_agg(frame_line(r.new_id, 'message', r.chat::text, r.sender, r.new_id, r.received, r.json), '') filter (where r.is_new),
			array_agg(r.code), array_agg(case when r.is_new then r.new_id else r.known_id end), array_agg(r.json), array_agg(r.is_new)
		into v_last, v_mentioned, v_again, v_lines, v_code, v_id, v_body, v_new from rendered r;

	if v_last is not null and p_reply_to is not null then
		perform threads_grow(p_chat, v_id, v_new);
	end if;
	if v_mentioned then
		perform mentions_grow(p_chat, v_id, v_new);
	end if;
	for i in 1 .. coalesce(v_again, 0) loop
		if v_code[i] is null and not v_new[i] then
			v_body[i] := message_now(p_chat[i], v_id[i]);
			v_code[i] := case when v_body[i] is null then 'gone' end;
		elsif v_code[i] = 'paced' then -- one after the other: each counts for the next
			v := send_paced(coalesce(v_last, v_head) + 1, v_at, p_chat[i], p_sender[i], p_key[i], p_hash[i], p_text[i], p_type[i], p_content[i],
				p_reply_to[i], p_received[i]);
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
	return query select send_status(u.code), u.*, send.checks from unnest(v_code, v_id, v_body, v_new) as u (code, id, body, is_new);
end $$;

-- Stores an item that has been accepted; gives the message's JSON and its line for the log.
create function message_store(p_id bigint, p_at timestamptz, p_chat bigint, p_sender text, p_role text, p_key text, p_hash text, p_text text, p_type text,
	p_content text, p_reply_to bigint, p_received bigint, p_ttl int, p_forwarded jsonb, out body text, out line text)
language plpgsql as $$
declare
	v_expires_at timestamptz := p_at + p_ttl * interval '1 s';
	v_thread bigint;
	v_mentions jsonb;
begin
	if p_reply_to is not null then
		select coalesce(m.thread, m.id) into v_thread from message m where m.chat_id = p_chat and m.id = p_reply_to;
		update message m set replies = coalesce(m.replies, 0) + 1, last_reply = p_id where m.chat_id = p_chat and m.id = v_thread;
	end if;
	if strpos(p_text, '@') > 0 then
		v_mentions := mentions_in(p_chat, p_sender, p_role, p_text);
		perform mentions_add(p_chat, p_id, v_mentions);
	end if;
	body := message_text(p_id, p_chat, p_sender, stamp(p_at), p_type, p_text, p_content::jsonb, p_id, p_reply_to, null,
		v_thread, v_mentions, p_forwarded, stamp(v_expires_at));
	line := frame_line(p_id, 'message', p_chat::text, p_sender, p_id, p_received, body);
	insert into message (chat_id, id, rev, sender, at, type, text, content, reply_to, thread, mentions, forwarded, expires_at)
		values (p_chat, p_id, p_id, p_sender, p_at, p_type, p_text, p_content::jsonb, p_reply_to, v_thread, v_mentions, p_forwarded, v_expires_at);
	insert into message_key (chat_id, sender, key, id, hash) values (p_chat, p_sender, p_key, p_id, p_hash);
end $$;

-- The same for a single item, as most are on a calm day: to set up the statement of a batch takes longer than all of this. Only here can an item
-- be forwarded: p_forward_chat and p_forward_id name what is said again.
create function send_one(p_node text, p_turn bigint, p_after bigint, p_chat bigint, p_sender text, p_key text, p_hash text, p_text text, p_type text,
	p_content text, p_reply_to bigint, p_received bigint, p_forward_chat bigint default null, p_forward_id bigint default null, out status int, out code text, out id bigint, out body text, out is_new boolean,
	out checks text)
language plpgsql
as $$
declare
	v record;
	v_stored record;
	v_hash text;
	v_replied boolean := true;
	v_forwarded jsonb;
begin
	-- Conditions and assignments where they do: PERFORM and SELECT INTO set up an executor each time.
	if send_turn(p_turn, p_after) is null then
	end if;
	if pg_advisory_xact_lock(log_lock_key()) is null then
	end if;
	select k.id, k.hash into id, v_hash from message_key k where k.chat_id = p_chat and k.sender = p_sender and k.key = p_key;
	is_new := id is null;
	if is_new then
		select b.upto, b.at, b.held, m.state, m.role, m.muted_until, m.floor, c.state as chat_state, c.gate, c.message_ttl into v
			from (select x.upto, greatest(clock_timestamp(), x.at) as at, batch_check(x.at, x.mark) as held
				from log_batch x order by x.upto desc limit 1) b
			left join member m on m.chat_id = p_chat and m.name = p_sender left join chat c on c.id = p_chat;
		if p_reply_to is not null then
			v_replied := exists (select from message m where m.chat_id = p_chat and m.id = p_reply_to);
		end if;
		code := refusal(v.at, v.state, v.role, v.muted_until, v.floor, v.chat_state, v.gate, p_reply_to, v_replied);
		if (code is null or code = 'paced') and p_forward_id is not null then
			select m.type, m.text, m.content, m.forwarded into p_type, p_text, p_content, v_forwarded
				from forwardable(p_sender, p_forward_chat, p_forward_id) m;
			code := case when v_forwarded is null then 'unknown_forward' else code end;
		end if;
		if code = 'paced' then -- last, for it counts
			select p.code, p.refrain into code, body from pace_take(p_chat, p_sender, v.at) p;
		end if;
		is_new := code is null;
	elsif not exists (select from member m join chat c on c.id = m.chat_id
			where m.chat_id = p_chat and m.name = p_sender and m.state = 'joined' and c.state = 'active') then
		code := 'not_found';
	elsif v_hash <> p_hash then
		code := 'key_conflict';
	else
		body := message_now(p_chat, id);
		code := case when body is null then 'gone' end;
	end if;
	if is_new then
		id := v.upto + 1;
		v_stored := message_store(id, v.at, p_chat, p_sender, v.role, p_key, p_hash, p_text, p_type, p_content, p_reply_to, p_received,
			v.message_ttl, v_forwarded);
		body := v_stored.body;
		checks := log_append(id, id, v.at, v_stored.line, p_node, v.held);
	end if;
	status := send_status(code);
end $$;

-- What p_me may forward: the message, forwarded saying who wrote it and when, but not where. Null: it isn't there, he can't read it, or it
-- was nobody who said it.
create function forwardable(p_me text, p_chat bigint, p_id bigint) returns message
language plpgsql stable as $$
declare
	v_message message;
begin
	select m.* into v_message from message m join member x on x.chat_id = m.chat_id and x.name = p_me and x.state = 'joined' and m.id > x.floor
			join chat c on c.id = m.chat_id and c.state = 'active'
		where m.chat_id = p_chat and m.id = p_id and m.type is distinct from 'system';
	if found then
		v_message.forwarded := coalesce(v_message.forwarded, jsonb_build_object('from', v_message.sender, 'at', stamp(v_message.at)));
	end if;
	return v_message;
end $$;

-- The message p_id of p_chat as p_member may see it. Refuses with 410 when it was deleted, 404 when it never was.
create function message_of(p_member member, p_id bigint) returns message
language plpgsql stable as $$
declare
	v_message message;
begin
	select m.* into v_message from message m where m.chat_id = p_member.chat_id and m.id = p_id and m.id > p_member.floor;
	if not found then
		if p_id > p_member.floor and exists (select from tombstone t where t.chat_id = p_member.chat_id and t.id = p_id) then
			perform refuse(410, 'gone', 'This message was deleted.');
		end if;
		perform refuse_absent();
	end if;
	return v_message;
end $$;

-- GET /v1/chats/C/messages/ID
create function message_get(p_me text, p_chat text, p_id bigint) returns table (rev bigint, body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
	v_message message := message_of(v_member, p_id);
begin
	return query select v_message.rev, message_view(v_message, v_member.floor);
end $$;

-- Refuses (403) whoever may not write in the chat at p_at. Its pace is for new messages only.
create function require_writer(p_member member, p_at timestamptz) returns void
language plpgsql stable as $$
declare
	v_code text := (select refusal(p_at, p_member.state, p_member.role, p_member.muted_until, p_member.floor, c.state, c.gate, null, true)
		from chat c where c.id = p_member.chat_id);
begin
	if v_code in ('muted', 'forbidden', 'blocked') then
		perform refuse(403, v_code, case v_code when 'muted' then 'You are muted in this chat.'
			when 'forbidden' then 'Only the owner and admins write here.' else 'One of you two has blocked the other.' end);
	end if;
end $$;

-- PATCH /v1/chats/C/messages/ID by its sender, while he may write there. p_revs: of If-Match; 412 when the message's isn't among them.
create function message_edit(p_me text, p_chat text, p_id bigint, p_text text, p_content text, p_revs bigint[])
	returns table (pos bigint, rev bigint, body text)
language plpgsql as $$
declare
	v record;
	v_member member;
	v_message message;
begin
	v := log_begin();
	v_member := membership(p_me, chat_of(p_me, p_chat));
	v_message := message_of(v_member, p_id);
	if v_message.sender <> p_me or v_message.type = 'system' or v_message.forwarded is not null then
		perform refuse(403, 'forbidden', 'Only who wrote a message may edit it, and nobody what is the server''s or was forwarded.');
	end if;
	perform require_writer(v_member, v.at);
	if v_message.rev <> all (p_revs) then
		perform refuse(412, 'stale', format('The message has changed since: its rev is %s now.', v_message.rev));
	end if;
	if (p_text is null and p_content is null) or (v_message.type is null and (p_text is null or p_content is not null)) then
		perform refuse(422, 'empty_text', 'An edit needs the new text.');
	end if;
	perform version_keep(v_message);
	if strpos(v_message.text, '@') > 0 or strpos(p_text, '@') > 0 then
		perform mentions_remove(v_message.chat_id, p_id, v_message.mentions);
		v_message.mentions := mentions_in(v_message.chat_id, p_me, v_member.role, coalesce(p_text, v_message.text));
		perform mentions_add(v_message.chat_id, p_id, v_message.mentions);
	end if;
	update message m set text = coalesce(p_text, m.text), content = coalesce(p_content::jsonb, m.content), mentions = v_message.mentions,
			edited_at = v.at, rev = v.head + 1
		where m.chat_id = v_message.chat_id and m.id = p_id returning * into v_message;
	perform log_append(v.head + 1, v.head + 1, v.at,
		frame_line(v_message.rev, 'message', v_message.chat_id::text, p_me, p_id, 0, message_json(v_message)));
	return query select v_message.rev, v_message.rev, message_json(v_message);
end $$;

-- DELETE /v1/chats/C/messages/ID by its sender, or the chat's owner or admins. Hard: the row goes, a tombstone stays.
-- Of two deletes one acts and both succeed.
create function message_delete(p_me text, p_chat text, p_id bigint) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_member member;
	v_message message;
	v_tombstone tombstone;
begin
	v := log_begin();
	v_member := membership(p_me, chat_of(p_me, p_chat));
	select * into v_tombstone from tombstone t where t.chat_id = v_member.chat_id and t.id = p_id and p_id > v_member.floor;
	if found then
		return query select v_tombstone.rev, null::text;
		return;
	end if;
	v_message := message_of(v_member, p_id);
	if role_rank(v_member.role) < 2 and (v_message.sender <> p_me or v_message.type = 'system') then
		perform refuse(403, 'forbidden', 'Only who wrote a message, or an admin of the chat, may delete it.');
	end if;
	if v_message.sender <> p_me then
		perform audit_add(v_message.chat_id, v.at, p_me, 'message_deleted', v_message.sender, jsonb_build_object('id', p_id));
	end if;
	perform log_append(v.head + 1, v.head + 1, v.at, message_remove(v_message, v.head + 1));
	return query select v.head + 1, null::text;
end $$;

-- GET /v1/chats/C/messages: a page, ascending. At most one of p_before (ids below), p_after (ids above), p_around; none:
-- the latest. older and newer are cursors, given where there is more; floor: he sees what came after it.
create function history(p_me text, p_chat text, p_before bigint, p_after bigint, p_around bigint, p_limit int)
	returns table (older bigint, newer bigint, floor bigint, body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
	v_chat bigint := v_member.chat_id;
	v_half int := (p_limit + 1) / 2;
	v_first bigint;
	v_last bigint;
	v_json text;
begin
	floor := v_member.floor;
	if num_nonnulls(p_before, p_after, p_around) > 1 then
		perform refuse(400, 'bad_parameter', 'Only one of before, after and around.');
	end if;
	select min(p.id), max(p.id), string_agg(message_view(p::message, v_member.floor), ',' order by p.id) into v_first, v_last, v_json from (
		(select m.* from message m where m.chat_id = v_chat and m.id > v_member.floor and p_after is null
				and m.id < coalesce(p_before, p_around, 9223372036854775807)
			order by m.id desc limit case when p_around is null then p_limit else p_limit - v_half end)
		union all
		(select m.* from message m where m.chat_id = v_chat and m.id > v_member.floor and (p_after is not null or p_around is not null)
				and m.id > coalesce(p_after, p_around - 1)
			order by m.id limit case when p_around is null then p_limit else v_half end)) p;
	select m.id into older from message m where m.chat_id = v_chat and m.id > v_member.floor
		and m.id < coalesce(v_first, p_after + 1, p_around, 0) order by m.id desc limit 1;
	older := case when older is not null then coalesce(v_first, p_after + 1, p_around) end;
	select m.id into newer from message m where m.chat_id = v_chat and m.id > v_member.floor
		and m.id > coalesce(v_last, p_before - 1, p_around, 9223372036854775807) order by m.id limit 1;
	newer := case when newer is not null then coalesce(v_last, p_before - 1, p_around) end;
	body := '{"messages":[' || coalesce(v_json, '') || ']' || coalesce(',"older":"' || older || '"', '')
		|| coalesce(',"newer":"' || newer || '"', '') || '}';
	return next;
end $$;
