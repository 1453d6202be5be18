-- SPDX-License-Identifier: MIT
-- Replies and threads. A thread is a message and all replies to it or to one of these.

-- The message's JSON with the beginning of the message that it replies to, if that is above p_floor. Answers
-- have it; events don't, because it changes when the other message does.
-- Caller: message_view().
create function message_quoting(m message, p_floor bigint) returns text
language sql stable as $$
	select case
		when r.id is null then message_json(m)
		else left(message_json(m), -1) || ',"reply":'
			|| jsonb_strip_nulls(jsonb_build_object(
				'id', r.id,
				'from', r.sender,
				'type', r.type,
				'text', left(r.text, 120)
			))::text
			|| '}'
	end
	from (values (1)) one
	left join message r on r.chat_id = m.chat_id and r.id = m.reply_to and r.id > p_floor
$$;

-- The message's JSON for an answer: see message_quoting().
-- Callers: history(), mentions(), message_get(), pins(), thread_get(), threads().
create function message_view(m message, p_floor bigint) returns text
language sql stable as $$
	select case when m.reply_to is null then message_json(m) else message_quoting(m, p_floor) end
$$;

-- Counts the replies of a batch in their threads.
-- Caller: send().
-- Locks: the caller holds the log lock.
create function threads_count_replies(p_chat bigint[], p_id bigint[], p_is_new boolean[]) returns void
language sql as $$
	update message m
	set replies = coalesce(m.replies, 0) + g.n, last_reply = g.last
	from (
		select r.chat_id, r.thread, count(*) as n, max(r.id) as last
		from unnest(p_chat, p_id, p_is_new) as u (chat, id, is_new)
		join message r on r.chat_id = u.chat and r.id = u.id
		where u.is_new and r.thread is not null
		group by r.chat_id, r.thread
	) g
	where m.chat_id = g.chat_id and m.id = g.thread
$$;

-- Counts again after a reply was deleted. A thread whose first message is deleted ends with its last reply.
-- Caller: message_remove().
-- Locks: the caller holds the log lock.
create function thread_uncount_reply(p_chat bigint, p_thread bigint) returns void
language sql as $$
	update message m
	set replies = nullif(m.replies - 1, 0),
		last_reply = (
			select max(r.id) from message r where r.chat_id = p_chat and r.thread = p_thread
		)
	where m.chat_id = p_chat and m.id = p_thread;
	with ended as (
		delete from thread_rootless t
		where t.chat_id = p_chat
			and t.thread = p_thread
			and not exists (
				select from message r where r.chat_id = p_chat and r.thread = p_thread
			)
		returning t.thread
	)
	delete from thread_mark t
	using ended e
	where t.chat_id = p_chat and t.thread = e.thread;
$$;

-- How many messages of others in a thread a member has read neither in the chat nor in the thread; at most
-- 1,000.
-- Callers: thread_get(), threads().
create function thread_unread(p_member member, p_thread bigint) returns bigint
language sql stable as $$
	select count(*)
	from (
		select
		from message m
		where m.chat_id = p_member.chat_id
			and m.thread = p_thread
			and m.sender <> p_member.name
			and m.id > greatest(
				p_member.floor, p_member.since,
				(
					select w.read
					from watermark w
					where w.chat_id = p_member.chat_id and w.name = p_member.name
				),
				(
					select t.read
					from thread_mark t
					where t.chat_id = p_member.chat_id
						and t.thread = p_thread
						and t.name = p_member.name
				)
			)
		order by m.id
		limit 1000
	) u
$$;

-- The thread that a message starts or belongs to. A thread is known by its first message even after that was
-- deleted, as long as there are replies.
-- Callers: thread_get(), thread_read().
-- Errors: 404 not_found; 410 gone.
create function thread_of(p_member member, p_id bigint) returns bigint
language plpgsql stable as $$
declare
	v_message message;
begin
	if p_id > p_member.floor
		and exists (
			select from thread_rootless t where t.chat_id = p_member.chat_id and t.thread = p_id
		)
	then
		return p_id;
	end if;
	v_message := message_of(p_member, p_id);
	return coalesce(v_message.thread, v_message.id);
end $$;

-- Lists a chat's threads, that with the latest reply first. The cursor is the last reply of the page before.
-- Threads whose first message was deleted are listed without it, as long as they have replies.
-- Caller: GET /v1/chats/{chat}/threads.
-- Errors: 404 not_found.
create function threads(p_me text, p_chat text, p_cursor bigint, p_limit int) returns table (body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
begin
	return query
		with found as (
			(
				select m.id as thread, m, m.last_reply
				from message m
				where m.chat_id = v_member.chat_id
					and m.last_reply is not null
					and m.id > v_member.floor
					and m.last_reply < coalesce(p_cursor, 9223372036854775807)
				order by m.last_reply desc
				limit p_limit + 1
			)
			union all
			select t.thread, null::message, r.id
			from thread_rootless t
			cross join lateral (
				select x.id
				from message x
				where x.chat_id = t.chat_id and x.thread = t.thread
				order by x.id desc
				limit 1
			) r
			where t.chat_id = v_member.chat_id
				and t.thread > v_member.floor
				and r.id < coalesce(p_cursor, 9223372036854775807)
		), page as (
			select f.* from found f order by f.last_reply desc limit p_limit + 1
		), kept as (
			select x.*
			from (
				select p.*,
					row_number() over w as n,
					sum(coalesce(message_size(p.m), 0)) over w as bytes
				from page p
				window w as (order by p.last_reply desc)
			) x
			where x.n <= p_limit and (x.n = 1 or x.bytes <= page_bytes())
		)
		select '{"threads":['
			|| coalesce(
				string_agg(
					'{"thread":' || k.thread
						|| case
							when (k.m).id is null then ',"deleted":true'
							else ',"root":' || message_view(k.m, v_member.floor)
						end
						|| ',"last_reply":' || k.last_reply || ',"unread":'
						|| thread_unread(v_member, k.thread) || '}',
					','
					order by k.last_reply desc
				),
				''
			)
			|| ']'
			|| case
				when (select count(*) from page) > count(*) then
					',"next":"' || min(k.last_reply) || '"'
				else ''
			end
			|| '}'
		from kept k;
end $$;

-- The thread that a message starts or belongs to, with its replies ascending. The cursor is the last id of the
-- page before.
-- Caller: GET /v1/chats/{chat}/messages/{id}/thread.
-- Errors: 404 not_found; 410 gone.
create function thread_get(p_me text, p_chat text, p_id bigint, p_cursor bigint, p_limit int)
returns table (body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
	v_thread bigint := thread_of(v_member, p_id);
begin
	return query
		with page as (
			select m
			from message m
			where m.chat_id = v_member.chat_id
				and m.thread = v_thread
				and m.id > greatest(v_member.floor, p_cursor)
			order by m.id
			limit p_limit + 1
		), kept as (
			select x.m
			from (
				select p.m, row_number() over w as n, sum(message_size(p.m)) over w as bytes
				from page p
				window w as (order by (p.m).id)
			) x
			where x.n <= p_limit and (x.n = 1 or x.bytes <= page_bytes())
		)
		select '{"thread":' || v_thread
			|| coalesce(
				',"root":'
					|| (
						select message_view(r, v_member.floor)
						from message r
						where r.chat_id = v_member.chat_id
							and r.id = v_thread
							and r.id > v_member.floor
					),
				(
					select ',"deleted":true'
					from thread_rootless t
					where t.chat_id = v_member.chat_id
						and t.thread = v_thread
						and v_thread > v_member.floor
				),
				''
			)
			|| ',"unread":' || thread_unread(v_member, v_thread) || ',"messages":['
			|| coalesce(string_agg(message_view(m, v_member.floor), ',' order by (m).id), '')
			|| ']'
			|| case
				when (select count(*) from page) > count(*) then
					',"next":"' || max((m).id) || '"'
				else ''
			end
			|| '}'
		from kept;
end $$;

-- Moves the caller's watermark in a thread. It only moves forward, and at most to the head.
-- Caller: POST /v1/chats/{chat}/messages/{id}/thread/read.
-- Errors: 404 not_found; 410 gone.
create function thread_read(p_me text, p_chat text, p_id bigint, p_up_to bigint)
returns table (body text)
language plpgsql as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
begin
	insert into thread_mark as t (chat_id, thread, name, read)
	values (v_member.chat_id, thread_of(v_member, p_id), p_me, least(p_up_to, log_head()))
	on conflict (chat_id, thread, name) do update set read = excluded.read
	where t.read < excluded.read;
	return query select null::text;
end $$;
