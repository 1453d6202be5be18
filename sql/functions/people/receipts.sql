-- SPDX-License-Identifier: MIT
-- Receipts: how far someone has received and read. A watermark a member and chat; what happens to it is told live.

-- Up to how many members it is told by name who has read and received. Above, an author hears how many.
create function receipts_crowd() returns int
language sql immutable as $$ select 100 $$;

-- A watermark that has moved.
create type told as (chat_id bigint, name text, is_read boolean, was bigint, is_now bigint, crowd boolean);

-- Who has received that message of p_sender's: members now who may read it. A mark beyond a message that was hidden from its owner says nothing.
create function receivers(p_chat bigint, p_id bigint, p_sender text) returns table (name text, read bigint)
language sql stable as $$
	select w.name, w.read from watermark w join member m on m.chat_id = w.chat_id and m.name = w.name
		where w.chat_id = p_chat and w.delivered >= p_id and w.name <> p_sender and m.state = 'joined' and m.floor < p_id
$$;

-- How many: for live events, of which a crowd has many. Where nothing is hidden from newcomers the marks alone say it, for who leaves leaves none behind.
create function received_by(p_chat bigint, p_id bigint, p_sender text, p_read boolean) returns bigint
language sql stable as $$
	select case when (select c.history from chat c where c.id = p_chat) = 'all'
		then (select count(*) from watermark w where w.chat_id = p_chat and w.name <> p_sender and case when p_read then w.read else w.delivered end >= p_id)
		else (select count(*) from receivers(p_chat, p_id, p_sender) r where not p_read or r.read >= p_id) end
$$;

-- POST /v1/chats/C/delivered and /read, and what a poll's cursor says; many at once. Marks only go up, and never past the head. What is read
-- was delivered. p_chat * is every chat in which something of others has come that is delivered by that, or a hundred of his own: then
-- they needn't be looked at again. A refusal is 404 for whoever isn't a member.
-- Rows are locked in their order, so that workers don't wait for each other crosswise.
create function mark(p_me text[], p_chat text[], p_delivered text[], p_read text[]) returns table (code text, detail text, body text)
language plpgsql as $$
declare
	v_head bigint := log_head();
	v_lines text;
	v_told told[];
begin
	return query select case when i.chat <> '*' and not exists (select from member m join chat c on c.id = m.chat_id where m.chat_id = chat_named(i.me, i.chat)
				and m.name = i.me and m.state = 'joined' and c.state = 'active') then 'not_found' end, null::text, null::text
		from unnest(p_me, p_chat) with ordinality i (me, chat, ord) order by i.ord;

	with asked as (
		select i.me, i.chat, case when i.read is not null then least(i.read::bigint, v_head) end as read,
				least(greatest(i.delivered::bigint, i.read::bigint), v_head) as delivered
			from unnest(p_me, p_chat, p_delivered, p_read) i (me, chat, delivered, read)
	), named as (
		select m.chat_id, m.name, a.read, a.delivered from asked a join member m on m.chat_id = chat_named(a.me, a.chat) and m.name = a.me
			where a.chat <> '*' and m.state = 'joined'
		union all
		select m.chat_id, m.name, null, a.delivered from asked a join member m on m.name = a.me
			left join watermark w on w.chat_id = m.chat_id and w.name = m.name
			where a.chat = '*' and m.state = 'joined' and (select bool_or(y.sender <> m.name) or count(*) = 100 from (select x.sender from message x
				where x.chat_id = m.chat_id and x.id > greatest(m.since, w.delivered) and x.id <= a.delivered order by x.id limit 100) y)
	), wanted as (
		select n.chat_id, n.name, max(n.delivered) as delivered, coalesce(max(n.read), 0) as read from named n
			join chat c on c.id = n.chat_id and c.state = 'active' group by n.chat_id, n.name
	), known as (
		select w.chat_id, w.name, coalesce(o.delivered, 0) as delivered, coalesce(o.read, 0) as read
			from wanted w left join watermark o on o.chat_id = w.chat_id and o.name = w.name
	), moved as (
		insert into watermark as w (chat_id, name, delivered, read)
			select x.chat_id, x.name, x.delivered, x.read from wanted x order by x.chat_id, x.name
			on conflict (chat_id, name) do update
				set delivered = greatest(w.delivered, excluded.delivered), read = greatest(w.read, excluded.read)
				where w.delivered < excluded.delivered or w.read < excluded.read
			returning w.chat_id, w.name, w.delivered, w.read
	), told as (
		select m.chat_id, m.name, m.read > k.read as is_read, case when m.read > k.read then k.read else k.delivered end as was,
				case when m.read > k.read then m.read else m.delivered end as is_now, c.members_count > receipts_crowd() as crowd
			from moved m join known k on k.chat_id = m.chat_id and k.name = m.name join chat c on c.id = m.chat_id
			where not c.barred and (m.read > k.read or m.delivered > k.delivered)
	)
	select array_agg(row(t.chat_id, t.name, t.is_read, t.was, t.is_now, t.crowd)::told) into v_told from told t;

	with told as (
		select t.*, case when t.is_read then 'read' else 'delivered' end as kind from unnest(v_told) t
	), passed as materialized ( -- the latest message of everyone whose messages were passed just now, of a hundred messages at most
		select t.chat_id, t.name, x.sender, t.is_read, t.kind, t.crowd, t.is_now, max(x.id) as id from told t, lateral (select m.sender, m.id from message m
				where m.chat_id = t.chat_id and m.id > t.was and m.id <= t.is_now and m.sender <> t.name order by m.id desc limit 100) x
			where t.crowd or not t.is_read group by t.chat_id, t.name, x.sender, t.is_read, t.kind, t.crowd, t.is_now
	), authors as ( -- who has left hears nothing more
		select p.* from passed p where exists (select from member o where o.chat_id = p.chat_id and o.name = p.sender and o.state = 'joined' and o.floor < p.id)
	), lines as (
		select live_line(t.kind, case when not t.crowd then t.chat_id::text end, case when t.crowd then t.name end, null,
				concat('{"chat":', t.chat_id, ',"name":"', t.name, '","up_to":', t.is_now, '}')) as line from told t where t.is_read
		union all -- what was delivered is of interest to those who wrote it
		select live_line(a.kind, null, string_agg(a.sender, ','), null, concat('{"chat":', a.chat_id, ',"name":"', a.name, '","up_to":', a.is_now, '}'))
			from authors a where not a.crowd group by a.kind, a.chat_id, a.name, a.is_now
		union all
		select live_line(a.kind, null, a.sender, null, concat('{"chat":', a.chat_id, ',"id":', a.id, ',"count":',
				received_by(a.chat_id, a.id, a.sender, a.is_read), '}'))
			from (select x.kind, x.chat_id, x.sender, x.is_read, max(x.id) as id from authors x where x.crowd group by x.kind, x.chat_id, x.sender, x.is_read) a
	)
	select string_agg(l.line, '') into v_lines from lines l;
	perform live_append(v_lines);
end $$;

-- Moves p_me's mark from p_after over more than 1,000 messages of his own, so that nobody who only writes has all of it looked through each
-- time. What others see of his mark is how far he has read of theirs: that is as before, and nobody is told. Only one mark a transaction: who
-- holds none while waiting for one can't wait crosswise. Caller: chat_view_json(), in the midst of an expression; gives no text.
create function mark_pass(p_chat bigint, p_me text, p_after bigint, p_up_to bigint) returns text
language plpgsql as $$
begin
	if current_setting('transaction_read_only') = 'off' and coalesce(current_setting('postern.passed', true), '') = '' and exists (
			select from message x where x.chat_id = p_chat and x.id > p_after and x.id <= p_up_to order by x.id offset 1000 limit 1) then
		perform set_config('postern.passed', 't', true);
		insert into watermark as w (chat_id, name, delivered, read) values (p_chat, p_me, p_up_to, p_up_to)
			on conflict (chat_id, name) do update set delivered = greatest(w.delivered, excluded.delivered), read = excluded.read
			where w.read < excluded.read;
	end if;
	return '';
end $$;

-- GET /v1/chats/C/receipts: everybody's watermarks; in a crowd one's own, for the others' are nobody's business there.
create function receipts(p_me text, p_chat text) returns table (body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
	v_crowd boolean := (select c.members_count > receipts_crowd() from chat c where c.id = v_member.chat_id);
begin
	return query select jsonb_build_object('receipts', coalesce(jsonb_agg(
			jsonb_build_object('name', w.name, 'delivered', w.delivered, 'read', w.read) order by w.name), '[]'))::text
		from watermark w join member m on m.chat_id = w.chat_id and m.name = w.name and m.state = 'joined'
		where w.chat_id = v_member.chat_id and (not v_crowd or w.name = p_me);
end $$;

-- GET /v1/chats/C/messages/ID/receipts: how many have received and read a message, and in a small group who. For its author.
create function message_receipts(p_me text, p_chat text, p_id bigint) returns table (body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
	v_message message := message_of(v_member, p_id);
	v_crowd boolean := (select c.members_count > receipts_crowd() from chat c where c.id = v_member.chat_id);
begin
	if v_message.sender <> p_me then
		perform refuse(403, 'forbidden', 'Only who wrote a message may ask who has read it.');
	end if;
	return query select jsonb_strip_nulls(jsonb_build_object('delivered', count(*), 'read', count(*) filter (where r.read >= p_id),
			'delivered_to', case when not v_crowd then coalesce(jsonb_agg(r.name order by r.name), '[]') end,
			'read_by', case when not v_crowd then coalesce(jsonb_agg(r.name order by r.name) filter (where r.read >= p_id), '[]') end))::text
		from receivers(v_member.chat_id, p_id, p_me) r;
end $$;
