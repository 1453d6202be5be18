-- SPDX-License-Identifier: MIT
-- Requests: users who don't want to be added to chats are asked.

-- Returns true if who asked may still add members.
-- Callers: chat_request_accept(), chat_requests_add(), chat_requests_json().
create function chat_request_holds(r chat_request) returns boolean
language sql stable as $$
	select exists (
			select
			from member m
			join chat c on c.id = m.chat_id
			join account a on a.name = m.name
			where m.chat_id = r.chat_id
				and m.name = r.asked_by
				and m.state = 'joined'
				and c.state = 'active'
				and a.state = 'active'
				and role_rank(m.role) >= adding_rank(c.adding)
		)
		and not is_blocked(r.name, r.asked_by)
$$;

-- The JSON of a request, as GET, sync and the event have it.
-- Callers: chat_requests_add(), chat_requests_json().
create function chat_request_json(r chat_request) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object(
		'chat', c.id,
		'kind', c.kind,
		'title', c.title,
		'members_count', c.members_count,
		'by', r.asked_by,
		'at', stamp(r.asked_at)
	))
	from chat c
	where c.id = r.chat_id
$$;

-- The requests that p_me can accept, the latest first.
-- Callers: chat_requests(), sync().
create function chat_requests_json(p_me text) returns jsonb
language sql stable as $$
	select coalesce(jsonb_agg(chat_request_json(r) order by r.asked_at desc), '[]')
	from chat_request r
	where r.name = p_me and not r.declined and chat_request_holds(r)
$$;

-- Asks users into a chat. Nothing happens for those who were asked already, have declined, or have 100
-- requests; p_me can't tell.
-- Callers: chat_create(), member_put(), members_change().
-- Locks: the caller holds the log lock.
create function chat_requests_add(p_me text, p_chat bigint, p_names text[]) returns void
language sql as $$
	with added as (
		insert into chat_request as r (chat_id, name, asked_by)
		select p_chat, n, p_me
		from unnest(p_names) n
		where not exists (
			select from chat_request x where x.name = n and not x.declined offset 99 limit 1
		)
		on conflict (chat_id, name) do update
		set asked_by = excluded.asked_by, asked_at = excluded.asked_at
		where not r.declined and not chat_request_holds(r)
		returning r
	)
	select live_append(
		string_agg(
			live_line('chat_request', null, (r).name, null, chat_request_json(r)::text), ''
		)
	)
	from added;
$$;

-- Names with a code, for the "skipped" of an answer.
-- Callers: chat_create(), member_put().
create function skipped_json(p_names text[], p_code text) returns jsonb
language sql stable as $$
	select coalesce(jsonb_agg(jsonb_build_object('name', n, 'code', p_code) order by n), '[]')
	from unnest(p_names) n
$$;

-- Tells p_me's devices that a request was answered.
-- Callers: chat_request_accept(), chat_request_decline().
create function chat_request_publish_end(p_me text, p_chat bigint, p_state text) returns void
language sql as $$
	select live_append(live_line(
		'chat_request', null, p_me, null,
		jsonb_build_object('chat', p_chat, 'state', p_state)::text
	))
$$;

-- Lists the caller's requests. There are 100 at most.
-- Caller: GET /v1/chat-requests.
create function chat_requests(p_me text) returns table (body text)
language sql stable as $$
	select jsonb_build_object('chat_requests', chat_requests_json(p_me))::text
$$;

-- Joins the chat of a request, if who asked may still add members.
-- Caller: POST /v1/chat-requests/{chat}/accept.
-- Locks: the log lock.
-- Errors: 404 not_found; 422 too_many_chats, too_many_members.
create function chat_request_accept(p_me text, p_chat bigint, p_members_max int, p_chats_max int)
returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_request chat_request;
	v_pos bigint;
begin
	v := log_begin();
	select r.* into v_request
	from chat_request r
	where r.chat_id = p_chat and r.name = p_me and not r.declined;
	if not found or not chat_request_holds(v_request) then
		perform refuse_absent();
	end if;
	v_pos := join_chat(v.head, v.at, p_me, p_chat, p_members_max, p_chats_max);
	perform chat_request_publish_end(p_me, p_chat, 'accepted');
	return query select v_pos, chat_view(p_me, p_chat);
end $$;

-- Declines a request. The chat can't ask again. Succeeds if there is none.
-- Caller: DELETE /v1/chat-requests/{chat}.
create function chat_request_decline(p_me text, p_chat bigint) returns table (body text)
language plpgsql as $$
begin
	update chat_request r
	set declined = true
	where r.chat_id = p_chat and r.name = p_me and not r.declined;
	if found then
		perform chat_request_publish_end(p_me, p_chat, 'declined');
	end if;
	return query select null::text;
end $$;
