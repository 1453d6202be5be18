-- SPDX-License-Identifier: MIT
-- Creates chats.
--
-- In a transaction that adds or removes members, the members take their positions first and the chat the
-- position after them. So a new member receives their own member event first, and then the chat as it is now.
-- System messages come last.

-- The frame lines of the chat, and of those of its members whose rev is p_from or later, in order of position.
-- Callers: chat_insert(), join_chat(), member_ban(), member_delete(), member_put(), member_unban(),
--   members_change().
create function chat_lines(p_chat bigint, p_from bigint) returns text
language sql stable as $$
	select string_agg(line, '' order by rev)
	from (
		select m.rev, member_line(m) as line
		from member m
		where m.chat_id = p_chat and m.rev >= p_from
		union all
		select c.rev, chat_line(c)
		from chat c
		where c.id = p_chat and c.rev >= p_from
	) f
$$;

-- Inserts a chat with its members. p_names[1] is the owner. Returns the chat's number.
-- Callers: chat_create(), direct_chat().
-- Locks: the caller holds the log lock.
create function chat_insert(
	p_head bigint,
	p_at timestamptz,
	p_kind text,
	p_title text,
	p_pair text,
	p_history text,
	p_names text[],
	p_handle text default null,
	p_system_messages text default 'none'
) returns bigint
language plpgsql as $$
declare
	v_chat bigint := nextval('postern.chat_id');
	v_last bigint := p_head + cardinality(p_names) + 1;
	v_system record;
begin
	insert into member (chat_id, name, role, state, since, rev, quiet)
	select v_chat, n.name, case when n.ord = 1 and p_kind <> 'direct' then 'owner' else 'member' end,
		'joined', p_head + n.ord, p_head + n.ord,
		n.ord > 1 and cardinality(p_names) > large_chat_members()
	from unnest(p_names) with ordinality as n (name, ord);
	insert into chat (
		id, kind, title, pair, handle, history, members_count, members_told, created_at, created_by,
		rev, system_messages
	)
	values (
		v_chat, p_kind, p_title, p_pair, p_handle, p_history, cardinality(p_names),
		cardinality(p_names), p_at, p_names[1], v_last, p_system_messages
	);
	perform retention_init_chat(v_chat, p_at);
	v_system := system_messages(
		v_chat, v_last + 1, p_at, p_names[1],
		case
			when p_kind <> 'direct' then jsonb_build_object(
				'code', 'chat_created',
				'title', p_title
			)
		end
	);
	perform log_append(
		p_head + 1, v_system.upto, p_at, chat_lines(v_chat, p_head + 1) || v_system.lines
	);
	return v_chat;
end $$;

-- Refuses what is no title of a group or channel: it must be one line with a visible character.
-- Callers: chat_create(), chat_patch().
-- Errors: 422 bad_chat.
create function require_title(p_title text) returns void
language plpgsql immutable as $$
begin
	if p_title is null or p_title !~ '\S' then
		perform refuse('bad_chat', 'A group or a channel needs a title.');
	end if;
	if p_title ~ '[[:cntrl:]]' then
		perform refuse('bad_chat', 'A title is one line, without control characters.');
	end if;
end $$;

-- Refuses names that are no active users.
-- Callers: chat_create(), member_put().
-- Errors: 422 unknown_user.
create function require_users(p_names text[]) returns void
language plpgsql stable as $$
declare
	v_missing text;
begin
	select n into v_missing
	from unnest(p_names) n
	where not exists (select from account a where a.name = n and a.state = 'active')
	limit 1;
	if found then
		perform refuse('unknown_user', format('There is no active user %s.', v_missing));
	end if;
end $$;

-- Refuses to add users who have blocked p_me.
-- Callers: chat_create(), member_put().
-- Errors: 403 blocked.
create function require_unblocked(p_me text, p_names text[]) returns void
language plpgsql stable as $$
declare
	v_name text;
begin
	select b.name into v_name from block b where b.blocked = p_me and b.name = any (p_names) limit 1;
	if found then
		perform refuse('blocked', format('%s has blocked you.', v_name));
	end if;
end $$;

-- Finds the direct chat of p_me and p_other, or creates it.
-- Callers: sends to @name (api/messages.c), chat_create().
-- Locks: the log lock if the chat doesn't exist.
-- Errors: 403 blocked; 404 not_found; 422 too_many_chats; 429 rate_limited.
create function direct_chat(
	p_me text,
	p_other text,
	p_chats_max int,
	p_rate_strangers int,
	out id bigint,
	out made boolean
)
language plpgsql as $$
declare
	v record;
	v_pair text := pair_of(p_me, p_other);
begin
	made := false;
	select c.id into id from chat c where c.pair = v_pair;
	if found then
		return;
	end if;
	v := log_begin();
	select c.id into id from chat c where c.pair = v_pair; -- a concurrent request may have created it
	if found then
		return;
	end if;
	if not exists (select from account a where a.name = p_other and a.state = 'active') then
		perform refuse_absent();
	end if;
	if is_blocked(p_me, p_other) then
		perform refuse('blocked');
	end if;
	perform require_room(p_me, p_chats_max);
	perform require_room(p_other, p_chats_max);
	if p_rate_strangers > 0 and not is_known(p_other, p_me) then
		perform strangers_take(p_me, p_rate_strangers, 1);
	end if;
	id := chat_insert(
		v.head, v.at, 'direct', null, v_pair, 'all',
		case when p_me = p_other then array[p_me] else array[p_me, p_other] end
	);
	made := true;
end $$;

-- Creates a chat; the caller becomes its owner. Members who want to be asked first are asked; they are in
-- "skipped", as are those who have too many chats. For a direct chat that exists already the status is 200.
-- Callers: POST /v1/chats, serve/demo.c.
-- Locks: the log lock.
-- Errors: 403 blocked, forbidden; 404 not_found; 409 name_taken; 422 bad_chat, bad_name, too_many_chats,
--   too_many_members, unknown_user; 429 rate_limited.
create function chat_create(
	p_me text,
	p_kind text,
	p_title text,
	p_members text[],
	p_history text default null,
	p_members_max int default 0,
	p_handle text default null,
	p_system_messages text default null,
	p_chats_max int default 0,
	p_rate_strangers int default 0
) returns table (pos bigint, status int, body text)
language plpgsql as $$
declare
	v record;
	v_names text[];
	v_check record;
	v_skipped jsonb;
	v_chat bigint;
begin
	if p_kind = 'direct' then
		if cardinality(coalesce(p_members, '{}')) <> 1
			or num_nonnulls(p_title, p_history, p_handle, p_system_messages) > 0
		then
			perform refuse(
				'bad_chat',
				'A direct chat has exactly one other member, and nothing else to set.'
			);
		end if;
		perform require_users(p_members);
		v := direct_chat(p_me, p_members[1], p_chats_max, p_rate_strangers);
		return query
			select c.rev, case when v.made then 201 else 200 end, chat_view(p_me, v.id)
			from chat c
			where c.id = v.id;
		return;
	end if;
	v_names := array[p_me]
		|| coalesce((select array_agg(distinct n) from unnest(p_members) n where n <> p_me), '{}');
	perform require_title(p_title);
	if p_members_max > 0 and cardinality(v_names) > p_members_max then
		perform refuse(
			'too_many_members', format('A chat has at most %s members.', p_members_max)
		);
	end if;
	v_check := adding_check(p_me, v_names, p_chats_max, p_rate_strangers);
	v := log_begin();
	perform require_users(v_names);
	perform require_unblocked(p_me, v_names);
	perform require_room(p_me, p_chats_max);
	perform strangers_take(p_me, p_rate_strangers, cardinality(v_check.strangers));
	v_skipped := skipped_json(v_check.asked, 'asked')
		|| skipped_json(
			array(select unnest(v_check.crowded) except select unnest(v_check.asked)),
			'too_many_chats'
		);
	v_names := array(
		select n
		from unnest(v_names) with ordinality u (n, ord)
		where n <> all (v_check.asked) and n <> all (v_check.crowded)
		order by ord
	);
	perform require_settings(null, 'owner', p_kind, p_handle, null, null);
	v_chat := chat_insert(
		v.head, v.at, p_kind, p_title, null, coalesce(p_history, 'all'), v_names,
		nullif(p_handle, ''), coalesce(p_system_messages, 'none')
	);
	perform chat_requests_add(p_me, v_chat, v_check.asked);
	return query
		select c.rev, 201,
			case v_skipped
				when '[]' then chat_view(p_me, v_chat)
				else left(chat_view(p_me, v_chat), -1) || ',"skipped":' || v_skipped || '}'
			end
		from chat c
		where c.id = v_chat;
end $$;
