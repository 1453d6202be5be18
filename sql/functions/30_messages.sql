-- SPDX-License-Identifier: MIT
-- Messages: the batch that sends them, edit, delete, history.

-- Sends a batch: every array has one entry an item. One transaction, whatever becomes of the single items: each gets a row
-- with its status (201, or that of its refusal with a code), and the message's JSON.
-- Caller: the worker's batcher. Lock: the log. Order of the checks: a key that is known decides alone (the first result; 409
-- for another body; 410 when the message is gone), then membership (404), the right to post (403), reply_to (422).
-- No two items have the same chat, sender and key: the batcher leaves the second one for the next batch.
--   p_turn      the batch's number on its connection; it is remembered if the batch commits
--   p_after     that of the batch which must have committed before this one, sent behind it without waiting; null: none
--   p_hash      of everything in the item that its sender wrote
--   p_type, p_content, p_reply_to  null when no item has one
--   p_received  when the request came in, µs since 1970
create function send(p_node text, p_turn bigint, p_after bigint, p_chat bigint[], p_sender text[], p_key text[], p_hash text[], p_text text[], p_type text[],
	p_content text[], p_reply_to bigint[], p_received bigint[])
	returns table (status int, code text, id bigint, body text, is_new boolean)
language plpgsql
as $$
declare
	v_head bigint;
	v_at timestamptz;
	v_stamp text;
	v_accepted int;
	v_repeats int; -- items up to the last whose key is known
	v_lines text;
	v_status int[];
	v_code text[];
	v_id bigint[];
	v_body text[];
	v_new boolean[];
begin
	if current_setting('postern.turn', true) is distinct from p_after::text and p_after is not null then
		raise exception 'the batch before this one has failed' using errcode = 'PT001';
	end if;
	if set_config('postern.turn', p_turn::text, false) is null then
	end if;
	select b.head, b.at into v_head, v_at from log_begin() b;
	v_stamp := stamp(v_at);

	-- One statement from the checks to the answers: on the path of every send each further one costs as much as a message.
	with judged as (
		select i.*, k.id as known_id, k.hash as known_hash, m.muted_until > v_at as muted,
			case when k.id is not null then null -- what became of it is decided below
				when m.state is distinct from 'joined' or c.state is distinct from 'active' then 404
				when m.muted_until > v_at or (c.kind = 'channel' and m.role = 'member') then 403
				when i.reply_to is not null and (i.reply_to <= m.floor or r.id is null) then 422 end as refusal
		from unnest(p_chat, p_sender, p_key, p_hash, p_text, p_type, p_content, p_reply_to, p_received) with ordinality
			as i (chat, sender, key, hash, text, type, content, reply_to, received, ord)
		-- One look-up an item, by primary key: the plan is kept, and a join would be planned for the empty tables of the first day.
		left join lateral (select x.id, x.hash from message_key x where x.chat_id = i.chat and x.sender = i.sender and x.key = i.key limit 1) k on true
		left join lateral (select x.state, x.role, x.muted_until, x.floor from member x where x.chat_id = i.chat and x.name = i.sender limit 1) m on true
		left join lateral (select x.state, x.kind from chat x where x.id = i.chat limit 1) c on true
		left join lateral (select x.id from message x where x.chat_id = i.chat and x.id = i.reply_to limit 1) r on true
	), numbered as (
		select j.*, j.known_id is null and j.refusal is null as is_new, v_head + count(*) filter (where j.known_id is null and j.refusal is null)
			over (order by j.ord rows unbounded preceding) as new_id from judged j
	), rendered as (
		select n.*, case when n.is_new then
				message_text(n.new_id, n.chat, n.sender, v_stamp, n.type, n.text, n.content::jsonb, n.new_id, n.reply_to, null) end as json
		from numbered n
	), born as (
		insert into message (chat_id, id, rev, sender, at, type, text, content, reply_to)
			select n.chat, n.new_id, n.new_id, n.sender, v_at, n.type, n.text, n.content::jsonb, n.reply_to from numbered n where n.is_new
	), keyed as (
		insert into message_key (chat_id, sender, key, id, hash)
			select n.chat, n.sender, n.key, n.new_id, n.hash from numbered n where n.is_new
	)
	select count(*) filter (where r.is_new), max(r.ord) filter (where r.known_id is not null),
			string_agg(frame_line(r.new_id, 'message', r.chat::text, r.sender, r.new_id, r.received, r.json), '') filter (where r.is_new),
			array_agg(case when r.known_hash <> r.hash then 409 else coalesce(r.refusal, 201) end),
			array_agg(case when r.known_hash <> r.hash then 'key_conflict' when r.refusal = 404 then 'not_found' when r.refusal = 422 then 'unknown_reply_to'
				when r.refusal = 403 then case when r.muted then 'muted' else 'forbidden' end end),
			array_agg(case when r.is_new then r.new_id else r.known_id end), array_agg(r.json), array_agg(r.is_new)
		into v_accepted, v_repeats, v_lines, v_status, v_code, v_id, v_body, v_new from rendered r;

	if v_accepted > 0 then
		perform log_append(v_head + 1, v_head + v_accepted, v_at, v_lines, p_node);
	end if;
	for i in 1 .. coalesce(v_repeats, 0) loop
		if v_status[i] = 201 and not v_new[i] then -- the key is known: the message as it is now
			v_body[i] := (select message_json(m) from message m where m.chat_id = p_chat[i] and m.id = v_id[i]);
			if v_body[i] is null then
				v_status[i] := 410;
				v_code[i] := 'gone';
			end if;
		end if;
	end loop;
	return query select * from unnest(v_status, v_code, v_id, v_body, v_new);
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
	v_message message := message_of(membership(p_me, chat_of(p_me, p_chat)), p_id);
begin
	return query select v_message.rev, message_json(v_message);
end $$;

-- PATCH /v1/chats/C/messages/ID by its sender. p_revs: of If-Match; 412 when the message's isn't among them.
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
	if v_message.sender <> p_me then
		perform refuse(403, 'forbidden', 'Only who wrote a message may edit it.');
	end if;
	if v_member.muted_until > v.at then
		perform refuse(403, 'muted', 'You are muted in this chat.');
	end if;
	if v_message.rev <> all (p_revs) then
		perform refuse(412, 'stale', format('The message has changed since: its rev is %s now.', v_message.rev));
	end if;
	if (p_text is null and p_content is null) or (v_message.type is null and (p_text is null or p_content is not null)) then
		perform refuse(422, 'empty_text', 'An edit needs the new text.');
	end if;
	update message m set text = coalesce(p_text, m.text), content = coalesce(p_content::jsonb, m.content), edited_at = v.at, rev = v.head + 1
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
	if v_message.sender <> p_me and (role_rank(v_member.role) < 2) then
		perform refuse(403, 'forbidden', 'Only who wrote a message, or an admin of the chat, may delete it.');
	end if;
	delete from message m where m.chat_id = v_message.chat_id and m.id = p_id;
	insert into tombstone values (v_message.chat_id, p_id, v.head + 1) returning * into v_tombstone;
	perform log_append(v.head + 1, v.head + 1, v.at,
		frame_line(v_tombstone.rev, 'deleted', v_tombstone.chat_id::text, '-', p_id, 0, tombstone_json(v_tombstone)));
	return query select v_tombstone.rev, null::text;
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
	select min(p.id), max(p.id), string_agg(message_json(p::message), ',' order by p.id) into v_first, v_last, v_json from (
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

-- POST /v1/chats/C/read and /delivered: marks only go up, and never past the head. What is read was delivered.
create function mark(p_me text, p_chat text, p_delivered bigint, p_read bigint) returns table (body text)
language plpgsql as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
	v_head bigint := log_head();
begin
	insert into watermark as w (chat_id, name, delivered, read)
		values (v_member.chat_id, p_me, least(greatest(p_delivered, p_read), v_head), least(coalesce(p_read, 0), v_head))
		on conflict (chat_id, name) do update
			set delivered = greatest(w.delivered, excluded.delivered), read = greatest(w.read, excluded.read)
			where w.delivered < excluded.delivered or w.read < excluded.read;
	return query select null::text;
end $$;

-- GET /v1/chats/C/receipts
create function receipts(p_me text, p_chat text) returns table (body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
begin
	return query select jsonb_build_object('receipts', coalesce(jsonb_agg(
			jsonb_build_object('name', w.name, 'delivered', w.delivered, 'read', w.read) order by w.name), '[]'))::text
		from watermark w join member m on m.chat_id = w.chat_id and m.name = w.name and m.state = 'joined'
		where w.chat_id = v_member.chat_id;
end $$;
