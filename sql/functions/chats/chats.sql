-- SPDX-License-Identifier: MIT
-- Chats and their members.
--
-- In a transaction that adds or removes members the member rows take their positions first and the chat the last one, so that
-- whoever joins gets, after his own member event, the chat as it is then. System messages come after it.

-- The frames of the members of p_chat whose rev is p_from or later, and of the chat itself, in order.
create function chat_lines(p_chat bigint, p_from bigint) returns text
language sql stable as $$
	select string_agg(line, '' order by rev) from (
		select m.rev, member_line(m) as line from member m where m.chat_id = p_chat and m.rev >= p_from
		union all
		select c.rev, chat_line(c) from chat c where c.id = p_chat and c.rev >= p_from) f
$$;

-- A new chat with its members, p_names[1] being its owner. Holds the log lock already; gives the chat's number.
create function chat_make(p_head bigint, p_at timestamptz, p_kind text, p_title text, p_pair text, p_history text, p_names text[],
	p_handle text default null, p_system_messages text default 'none') returns bigint
language plpgsql as $$
declare
	v_chat bigint := nextval('postern.chat_id');
	v_last bigint := p_head + cardinality(p_names) + 1;
	v_said record;
begin
	insert into member (chat_id, name, role, state, since, rev, quiet)
		select v_chat, n.name, case when n.ord = 1 and p_kind <> 'direct' then 'owner' else 'member' end, 'joined', p_head + n.ord, p_head + n.ord,
			n.ord > 1 and cardinality(p_names) > crowd()
		from unnest(p_names) with ordinality as n (name, ord);
	insert into chat (id, kind, title, pair, handle, history, members_count, members_told, created_at, created_by, rev, system_messages)
		values (v_chat, p_kind, p_title, p_pair, p_handle, p_history, cardinality(p_names), cardinality(p_names), p_at, p_names[1], v_last, p_system_messages);
	perform retention_begin(v_chat, p_at);
	v_said := system_messages(v_chat, v_last + 1, p_at, p_names[1], case when p_kind <> 'direct' then
		jsonb_build_object('code', 'chat_created', 'title', p_title) end);
	perform log_append(p_head + 1, v_said.upto, p_at, chat_lines(v_chat, p_head + 1) || v_said.lines);
	return v_chat;
end $$;

-- Refuses what is no title of a group or a channel: nothing to see, or more than a line.
create function require_title(p_title text) returns void
language plpgsql immutable as $$
begin
	if p_title is null or p_title !~ '\S' then
		perform refuse(422, 'bad_chat', 'A group or a channel needs a title.');
	end if;
	if p_title ~ '[[:cntrl:]]' then
		perform refuse(422, 'bad_chat', 'A title is one line, without control characters.');
	end if;
end $$;

-- Refuses names that are no active users.
create function require_users(p_names text[]) returns void
language plpgsql stable as $$
declare
	v_missing text;
begin
	select n into v_missing from unnest(p_names) n
		where not exists (select from account a where a.name = n and a.state = 'active') limit 1;
	if found then
		perform refuse(422, 'unknown_user', format('There is no active user %s.', v_missing));
	end if;
end $$;

-- Refuses (403) to put those into a chat who have blocked p_me.
create function require_unblocked(p_me text, p_names text[]) returns void
language plpgsql stable as $$
declare
	v_name text;
begin
	select b.name into v_name from block b where b.blocked = p_me and b.name = any (p_names) limit 1;
	if found then
		perform refuse(403, 'blocked', format('%s has blocked you.', v_name));
	end if;
end $$;

-- The direct chat of p_me and p_other, made if there is none. Callers: sends to @name, POST /v1/chats.
create function direct_chat(p_me text, p_other text, out id bigint, out made boolean)
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
	select c.id into id from chat c where c.pair = v_pair; -- somebody else may have been first
	if found then
		return;
	end if;
	if not exists (select from account a where a.name = p_other and a.state = 'active') then
		perform refuse_absent();
	end if;
	if is_blocked(p_me, p_other) then
		perform refuse(403, 'blocked', 'One of you two has blocked the other.');
	end if;
	id := chat_make(v.head, v.at, 'direct', null, v_pair, 'all',
		case when p_me = p_other then array[p_me] else array[p_me, p_other] end);
	made := true;
end $$;

-- POST /v1/chats. p_members: a JSON array of names; the caller is added. A direct chat that exists already is given back with 200.
create function chat_create(p_me text, p_kind text, p_title text, p_members text[], p_history text default null, p_members_max int default 0,
	p_handle text default null, p_system_messages text default null) returns table (pos bigint, status int, body text)
language plpgsql as $$
declare
	v record;
	v_names text[];
	v_chat bigint;
begin
	if p_kind = 'direct' then
		if cardinality(coalesce(p_members, '{}')) <> 1 or num_nonnulls(p_title, p_history, p_handle, p_system_messages) > 0 then
			perform refuse(422, 'bad_chat', 'A direct chat has exactly one other member, and nothing else to set.');
		end if;
		perform require_users(p_members);
		v := direct_chat(p_me, p_members[1]);
		return query select c.rev, case when v.made then 201 else 200 end, chat_view(p_me, v.id) from chat c where c.id = v.id;
		return;
	end if;
	v_names := array[p_me] || coalesce((select array_agg(distinct n) from unnest(p_members) n where n <> p_me), '{}');
	perform require_title(p_title);
	if p_members_max > 0 and cardinality(v_names) > p_members_max then
		perform refuse(422, 'too_many_members', format('A chat has at most %s members.', p_members_max));
	end if;
	v := log_begin();
	perform require_users(v_names);
	perform require_unblocked(p_me, v_names);
	perform require_settings(null, 'owner', p_kind, p_handle, null, null);
	v_chat := chat_make(v.head, v.at, p_kind, p_title, null, coalesce(p_history, 'all'), v_names, nullif(p_handle, ''), coalesce(p_system_messages, 'none'));
	return query select c.rev, 201, chat_view(p_me, v_chat) from chat c where c.id = v_chat;
end $$;

-- What p_me sees of a chat: the chat, and what is his own: title of a direct chat, role, last message, unread, watermarks.
-- Unread counts what others wrote after his mark (or his joining), up to 1,000 of the 10,000 messages from the first of them on; system
-- messages don't count. unread_mentions: in how many of them he is mentioned, up to 100 each by name and as one of all.
-- Where there may be much of his own before the first of others, mark_pass() sees that it isn't looked through the next time.
create function chat_view_json(p_me text, c chat, m member) returns text
language sql stable as $$
	select rtrim((chat_json(c) || jsonb_strip_nulls(jsonb_build_object(
			'title', case when c.kind = 'direct' then coalesce(nullif(peer.display_name, ''), peer.name) else c.title end,
			'peer', peer.name, 'my_role', m.role, 'muted_until', stamp(m.muted_until),
			'unread', unread.n, 'first_unread', unread.first,
			'unread_mentions', nullif(mentioned.n, 0), 'read', w.read, 'delivered', w.delivered)))::text, '}')
		|| coalesce(',"last_message":' || last.json, '') || '}'
		|| case when coalesce(foremost.id, last.id + 1) - mark.after > 1000
			then mark_pass(c.id, p_me, mark.after, coalesce(foremost.id - 1, last.id)) else '' end
	from (values (1)) one
	left join watermark w on w.chat_id = c.id and w.name = p_me
	cross join lateral (select greatest(coalesce(w.read, 0), m.since, m.floor) as after) mark
	left join lateral (select a.name, a.display_name from account a
		where c.kind = 'direct' and a.name = case when c.pair = p_me || ' ' || p_me then p_me
			else (select x from unnest(string_to_array(c.pair, ' ')) x where x <> p_me) end) peer on true
	left join lateral (select x.id, message_json(x) as json from message x where x.chat_id = c.id and x.id > m.floor
		order by x.id desc limit 1) last on true
	left join lateral (select x.id from message x
		where x.chat_id = c.id and x.id > mark.after and x.sender <> p_me and x.type is distinct from 'system'
		order by x.id limit 1) foremost on true
	left join lateral (select count(*) as n, foremost.id as first from (select from (select x.sender, x.type from message x
			where x.chat_id = c.id and x.id >= foremost.id order by x.id limit 10000) y
		where y.sender <> p_me and y.type is distinct from 'system' limit 1000) u) unread on true
	left join lateral (select count(distinct u.id) as n from (
		(select x.id from mention x where x.chat_id = c.id and x.name = p_me and x.id >= unread.first order by x.id limit 100)
		union all
		(select x.id from mention x
			join lateral (select from message y where y.chat_id = x.chat_id and y.id = x.id and y.sender <> p_me limit 1) y on true
			where x.chat_id = c.id and x.name = '@all' and x.id >= unread.first order by x.id limit 100)) u) mentioned on unread.n > 0
$$;

create function chat_view(p_me text, p_chat bigint) returns text
language sql stable as $$
	select chat_view_json(p_me, c, m) from chat c join member m on m.chat_id = c.id and m.name = p_me where c.id = p_chat
$$;

-- GET /v1/chats/C
create function chat_get(p_me text, p_chat text) returns table (body text)
language plpgsql stable as $$
declare
	v_chat bigint := chat_of(p_me, p_chat);
begin
	perform membership(p_me, v_chat);
	return query select chat_view(p_me, v_chat);
end $$;

-- GET /v1/chats: by number; the cursor is the last number seen.
create function chats(p_me text, p_cursor bigint, p_limit int) returns table (body text)
language sql stable as $$
	with page as (
		select c, m from member m join chat c on c.id = m.chat_id
			where m.name = p_me and m.state = 'joined' and c.state = 'active' and c.id > coalesce(p_cursor, 0)
			order by m.chat_id limit p_limit + 1
	), kept as (select c, m from page order by (c).id limit p_limit)
	select '{"chats":[' || coalesce(string_agg(chat_view_json(p_me, c, m), ',' order by (c).id), '') || ']'
		|| case when (select count(*) from page) > p_limit then ',"next":"' || max((c).id) || '"' else '' end || '}' from kept
$$;

-- GET /v1/sync: everything that a client needs to start, and the cursor that matches it: one snapshot.
create function sync(p_me text, p_timing text) returns table (body text)
language sql stable as $$
	select '{"me":' || (select me_json(a)::text from account a where a.name = p_me)
		|| ',"chats":[' || coalesce((select string_agg(chat_view_json(p_me, c, m), ',' order by c.id)
			from member m join chat c on c.id = m.chat_id
			where m.name = p_me and m.state = 'joined' and c.state = 'active'), '')
		|| '],"cursor":"' || (select cursor_text(value, log_head(), log_check(log_head())) from meta where key = 'epoch')
		|| '","announcements":' || announcements_json() || ',"timing":' || p_timing || '}'
$$;

-- PATCH /v1/chats/C: what is set of a group or channel, by its owner or an admin; see require_settings(). How long messages stay (0: for good), and
-- whether there are system messages, is for both in a direct chat too; messages that are there already stay as they are. Null leaves as it
-- is, an empty handle takes it back. What is so already is no act, and nobody is told.
create function chat_patch(p_me text, p_chat text, p_title text, p_history text, p_handle text, p_posting text, p_adding text, p_slow_mode int,
	p_rate_limit int, p_message_ttl int, p_system_messages text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_mine member;
	v_old chat;
	v_row chat;
	v_said record;
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	v_mine := membership(p_me, v_chat);
	if role_rank(v_mine.role) < 2 and (num_nonnulls(p_title, p_history, p_handle, p_posting, p_adding, p_slow_mode, p_rate_limit) > 0
			or num_nonnulls(p_message_ttl, p_system_messages) = 0
			or not exists (select from chat c where c.id = v_chat and c.kind = 'direct')) then
		perform refuse(403, 'forbidden', 'Only the owner or an admin may change this chat.');
	end if;
	perform require_unbarred(v_chat);
	if p_title is not null then
		perform require_title(p_title);
	end if;
	select * into v_old from chat c where c.id = v_chat;
	perform require_settings(v_chat, v_mine.role, v_old.kind, p_handle, p_posting, p_adding);
	v_row := v_old;
	v_row.title := coalesce(p_title, v_old.title);
	v_row.history := coalesce(p_history, v_old.history);
	v_row.handle := nullif(coalesce(p_handle, v_old.handle), '');
	v_row.posting := coalesce(p_posting, v_old.posting);
	v_row.adding := coalesce(p_adding, v_old.adding);
	v_row.slow_mode := coalesce(p_slow_mode, v_old.slow_mode);
	v_row.rate_limit := coalesce(p_rate_limit, v_old.rate_limit);
	v_row.message_ttl := nullif(coalesce(p_message_ttl, v_old.message_ttl), 0);
	v_row.system_messages := coalesce(p_system_messages, v_old.system_messages);
	if v_row is not distinct from v_old then
		return query select v_old.rev, chat_view(p_me, v_chat);
		return;
	end if;
	update chat c set title = v_row.title, history = v_row.history, handle = v_row.handle, posting = v_row.posting, adding = v_row.adding,
		slow_mode = v_row.slow_mode, rate_limit = v_row.rate_limit, message_ttl = v_row.message_ttl, system_messages = v_row.system_messages,
		members_told = members_count, rev = v.head + 1
		where c.id = v_chat returning * into v_row;
	perform audit_add(v_chat, v.at, p_me, 'chat_changed', null, jsonb_strip_nulls(jsonb_build_object('title', p_title, 'history', p_history,
		'handle', p_handle, 'posting', p_posting, 'adding', p_adding, 'slow_mode', p_slow_mode, 'rate_limit', p_rate_limit, 'message_ttl', p_message_ttl,
		'system_messages', p_system_messages)));
	v_said := system_messages(v_chat, v.head + 2, v.at, p_me,
		case when v_row.title is distinct from v_old.title then jsonb_build_object('code', 'title_changed', 'title', v_row.title) end,
		case when v_row.history <> v_old.history then jsonb_build_object('code', 'history_changed', 'history', v_row.history) end,
		case when v_row.message_ttl is distinct from v_old.message_ttl then
			jsonb_build_object('code', 'message_ttl_changed', 'message_ttl', coalesce(v_row.message_ttl, 0)) end);
	perform log_append(v.head + 1, v_said.upto, v.at, chat_line(v_row) || v_said.lines);
	return query select v_said.upto, chat_view(p_me, v_chat);
end $$;

-- Deletes a chat at that position; its names are free again. Null: there is no such chat any more. Callers: chat_delete(),
-- member_delete(), admin_chat_delete(), chat_abandon().
create function chat_bury(p_chat bigint, p_pos bigint) returns chat
language sql as $$
	update chat c set state = 'deleted', title = null, handle = null, pair = null, rev = p_pos where c.id = p_chat and c.state = 'active' returning *
$$;

-- DELETE /v1/chats/C, by its owner. One tombstone: the row stays with its state; a follower removes the messages in chunks.
create function chat_delete(p_me text, p_chat text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_row chat;
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	if (membership(p_me, v_chat)).role <> 'owner' then
		perform refuse(403, 'forbidden', 'Only its owner may delete a chat; a direct chat can''t be deleted.');
	end if;
	v_row := chat_bury(v_chat, v.head + 1);
	perform log_append(v.head + 1, v.head + 1, v.at, chat_line(v_row));
	return query select v_row.rev, null::text;
end $$;

-- GET /v1/chats/C/members: the joined, by name, or, for the owner and admins, the banned; the cursor is the last name seen.
create function members(p_me text, p_chat text, p_state text, p_cursor text, p_limit int) returns table (body text)
language plpgsql stable as $$
declare
	v_chat bigint := chat_of(p_me, p_chat);
begin
	if role_rank((membership(p_me, v_chat)).role) < 2 and p_state <> 'joined' then
		perform refuse(403, 'forbidden', 'Only the owner and admins see who is banned.');
	end if;
	return query
		with page as (
			select m from member m where m.chat_id = v_chat and m.state = p_state and (p_cursor is null or m.name > p_cursor)
				order by m.name limit p_limit + 1
		), kept as (select m from page order by (m).name limit p_limit)
		select jsonb_strip_nulls(jsonb_build_object('members', coalesce(jsonb_agg(member_json(m) order by (m).name), '[]'),
			'next', case when (select count(*) from page) > p_limit then max((m).name) end))::text from kept;
end $$;

-- PUT /v1/chats/C/members/NAME: adds NAME, or changes his role or muting. Null leaves as it is (a new member: role
-- member). Adding: whom chat.adding says; muting: owner and admins, on members below them. Roles: the owner; making somebody owner hands the
-- chat over. muted_until in the past unmutes; so does becoming owner, as there is nobody above him to do it.
create function member_put(p_me text, p_chat text, p_name text, p_role text, p_muted_until timestamptz, p_members_max int)
	returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_kind text;
	v_count int;
	v_adding text;
	v_mine member;
	v_old member;
	v_new member;
	v_pos bigint;
	v_said record;
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	v_mine := membership(p_me, v_chat);
	select c.kind, c.members_count, c.adding into v_kind, v_count, v_adding from chat c where c.id = v_chat;
	select * into v_old from member m where m.chat_id = v_chat and m.name = p_name;
	if v_kind = 'direct' or (v_old.state is distinct from 'joined' and role_rank(v_mine.role) < adding_rank(v_adding))
			or ((v_old.state = 'joined' or p_role <> 'member' or p_muted_until is not null) and role_rank(v_mine.role) < 2)
			or (p_role is not null and p_role <> coalesce(v_old.role, 'member') and v_mine.role <> 'owner')
			or (v_old.state = 'joined' and p_name <> p_me and role_rank(v_old.role) >= role_rank(v_mine.role))
			or (p_name = p_me and (p_role is not null or p_muted_until is not null)) then
		perform refuse(403, 'forbidden', 'Your role in this chat doesn''t allow that.');
	end if;
	v_pos := v.head + 1;
	if v_old.state = 'joined' then
		p_role := nullif(p_role, v_old.role);
		if p_role is null and (p_muted_until is null or case when p_muted_until > v.at then p_muted_until end is not distinct from v_old.muted_until) then
			return query select v_old.rev, member_json(v_old)::text; -- it is so already
			return;
		end if;
		if p_role = 'owner' then
			perform require_users(array[p_name]); -- who can't sign in could never hand it over
			update member m set role = 'admin', rev = v_pos, quiet = false where m.chat_id = v_chat and m.name = p_me;
			v_pos := v_pos + 1;
		end if;
		update member m set role = coalesce(p_role, role), rev = v_pos, quiet = false,
			muted_until = case when p_role = 'owner' or p_muted_until <= v.at then null else coalesce(p_muted_until, muted_until) end
			where m.chat_id = v_chat and m.name = p_name returning * into v_new;
		if v_new.role <> v_old.role then
			perform audit_add(v_chat, v.at, p_me, 'role_changed', p_name, jsonb_build_object('role', v_new.role, 'was', v_old.role));
		end if;
		if v_new.muted_until is distinct from v_old.muted_until then
			perform audit_add(v_chat, v.at, p_me, case when v_new.muted_until is null then 'unmuted' else 'muted' end, p_name,
				jsonb_build_object('muted_until', stamp(v_new.muted_until)));
		end if;
	else
		if v_old.state = 'banned' then
			perform refuse(403, 'banned', format('%s is banned from this chat.', p_name));
		end if;
		perform require_users(array[p_name]);
		perform require_unblocked(p_me, array[p_name]);
		if p_members_max > 0 and v_count >= p_members_max then
			perform refuse(422, 'too_many_members', format('A chat has at most %s members.', p_members_max));
		end if;
		if p_role = 'owner' then
			perform refuse(422, 'bad_role', 'Add the member first, then hand the chat over.');
		end if;
		perform seat(v_chat, array[p_name], coalesce(p_role, 'member'), p_muted_until, v_pos);
		select * into v_new from member m where m.chat_id = v_chat and m.name = p_name;
		v_pos := count_members(v_chat, 1, v_pos + 1, true);
		perform audit_add(v_chat, v.at, p_me, 'added', p_name, jsonb_build_object('role', v_new.role));
	end if;
	v_said := system_messages(v_chat, v_pos + 1, v.at, p_me, (select case when v_old.state is distinct from 'joined' then
			case when tells_members(c) then jsonb_build_object('code', 'member_added', 'name', p_name) end
			when v_new.role = 'owner' then jsonb_build_object('code', 'owner_changed', 'name', p_name)
			when v_new.role <> v_old.role then jsonb_build_object('code', 'role_changed', 'name', p_name, 'role', v_new.role) end
		from chat c where c.id = v_chat));
	perform log_append(v.head + 1, v_said.upto, v.at, chat_lines(v_chat, v.head + 1) || v_said.lines);
	return query select v_said.upto, member_json(v_new)::text;
end $$;

-- DELETE /v1/chats/C/members/NAME: kicks, or leaves when NAME is the caller. An owner who leaves is followed by the
-- admin, else the member, who has been there longest and can still sign in. With the last member goes the chat, lest an invite or its public
-- name lead into one without an owner. Nobody leaves a direct chat. Again: 204 as well.
create function member_delete(p_me text, p_chat text, p_name text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_mine member;
	v_old member;
	v_heir text;
	v_pos bigint;
	v_said record;
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	v_mine := membership(p_me, v_chat);
	select m.* into v_old from member m where m.chat_id = v_chat and m.name = p_name;
	if exists (select from chat c where c.id = v_chat and c.kind = 'direct')
			or (p_name <> p_me and (role_rank(v_mine.role) < 2
				or (v_old.state = 'joined' and role_rank(v_old.role) >= role_rank(v_mine.role)))) then
		perform refuse(403, 'forbidden', 'Your role in this chat doesn''t allow that.');
	end if;
	if v_old.chat_id is null then
		perform refuse_absent();
	end if;
	if v_old.state <> 'joined' then
		return query select v_old.rev, null::text;
		return;
	end if;
	v_pos := v.head + 1;
	perform unseat(v_chat, array[p_name], case when p_name = p_me then 'left' else 'kicked' end, v_pos);
	if p_name <> p_me then
		perform audit_add(v_chat, v.at, p_me, 'kicked', p_name);
	end if;
	if v_old.role = 'owner' then
		update member m set role = 'owner', muted_until = null, rev = v_pos + 1, quiet = false where m.chat_id = v_chat and m.name = (
			select x.name from member x left join account a on a.name = x.name where x.chat_id = v_chat and x.state = 'joined'
				order by a.state = 'active' desc nulls last, role_rank(x.role) desc, x.since limit 1) returning m.name into v_heir;
		if found then
			v_pos := v_pos + 1;
			perform audit_add(v_chat, v.at, p_me, 'role_changed', v_heir, '{"role":"owner"}');
		end if;
	end if;
	v_pos := count_members(v_chat, -1, v_pos + 1, p_name <> p_me);
	if exists (select from chat c where c.id = v_chat and c.members_count = 0) then
		perform chat_bury(v_chat, v_pos);
	end if;
	v_said := system_messages(v_chat, v_pos + 1, v.at, p_me, (select case when tells_members(c) then case when p_name = p_me then
			jsonb_build_object('code', 'member_left') else jsonb_build_object('code', 'member_removed', 'name', p_name) end end
		from chat c where c.id = v_chat), case when v_heir is not null then jsonb_build_object('code', 'owner_changed', 'name', v_heir) end);
	perform log_append(v.head + 1, v_said.upto, v.at, coalesce(chat_lines(v_chat, v.head + 1), '') || v_said.lines);
	return query select v_said.upto, null::text;
end $$;
