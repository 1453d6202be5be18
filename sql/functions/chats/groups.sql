-- SPDX-License-Identifier: MIT
-- Groups and channels: who comes and goes, one by one or many at once, bans, public channels, slow mode.

-- A chat with more members than that tells of a plain member who comes or goes to himself only; the others get the chat, with its
-- members_count. 10,000 who join at once are 10,000 events then, not 10,000 for each. member.quiet remembers which it was,
-- so that the log and replay() tell the same.
create function crowd() returns int
language sql immutable as $$ select 100 $$;

-- The role from which on one may add members.
create function adding_rank(p_adding text) returns int
language sql immutable as $$ select case p_adding when 'members' then 1 when 'admins' then 2 else 3 end $$;

-- Puts p_names into a chat, from position p_from on, one each. Before count_members(). Who was muted still is, unless p_muted_until says
-- otherwise: to leave and come back is no way out.
create function seat(p_chat bigint, p_names text[], p_role text, p_muted_until timestamptz, p_from bigint) returns void
language sql as $$
	insert into member (chat_id, name, role, state, muted_until, since, floor, rev, quiet)
		select p_chat, n.name, p_role, 'joined', p_muted_until, n.pos, case c.history when 'joined' then n.pos else 0 end, n.pos,
			p_role = 'member' and c.members_count + cardinality(p_names) > crowd()
		from (select u.name, p_from + u.ord - 1 as pos from unnest(p_names) with ordinality u (name, ord)) n, chat c where c.id = p_chat
		on conflict (chat_id, name) do update set role = excluded.role, state = excluded.state,
			muted_until = coalesce(excluded.muted_until, case when member.muted_until > clock_timestamp() then member.muted_until end), since = excluded.since, floor = excluded.floor, rev = excluded.rev, quiet = excluded.quiet
$$;

-- Takes p_names, who have rows, out of a chat, from position p_from on; p_state is what they are then. Before count_members().
create function unseat(p_chat bigint, p_names text[], p_state text, p_from bigint) returns void
language sql as $$
	delete from watermark w where w.ctid = any (array(select x.ctid from watermark x where x.chat_id = p_chat and x.name = any (p_names)
		order by x.name for update)); -- in the order of mark(), which waits for no log lock
	update member m set state = p_state, role = 'member', rev = p_from + n.ord - 1,
			quiet = m.role = 'member' and c.members_count > crowd()
		from unnest(p_names) with ordinality n (name, ord), chat c
		where c.id = p_chat and m.chat_id = p_chat and m.name = n.name
$$;

-- Counts those who came and went; the chat takes position p_pos. Gives the last position taken. Of single comings and goings that nobody
-- ordered (p_tell false) a crowd hears only when they have come to one in a hundred since it was last told: then no position is
-- taken in between, and members_count is true in whatever is asked for meanwhile.
create function count_members(p_chat bigint, p_by int, p_pos bigint, p_tell boolean) returns bigint
language plpgsql as $$
declare
	v_count int;
	v_told int;
begin
	update chat c set members_count = members_count + p_by where c.id = p_chat returning members_count, members_told into v_count, v_told;
	if not p_tell and greatest(v_count, v_count - p_by) > crowd() and abs(v_count - v_told) * 100 < v_told then
		return p_pos - 1;
	end if;
	update chat c set rev = p_pos, members_told = v_count where c.id = p_chat;
	return p_pos;
end $$;

-- Puts p_me into a chat that he may join by himself; gives the last position taken, null when he is in already. Refuses like what
-- isn't there (404) whoever is banned.
create function join_chat(p_head bigint, p_at timestamptz, p_me text, p_chat bigint, p_members_max int) returns bigint
language plpgsql as $$
declare
	v_state text := (select m.state from member m where m.chat_id = p_chat and m.name = p_me);
	v_pos bigint;
	v_said record;
begin
	if v_state = 'joined' then
		return null;
	end if;
	if v_state = 'banned' then
		perform refuse_absent();
	end if;
	if p_members_max > 0 and (select c.members_count from chat c where c.id = p_chat) >= p_members_max then
		perform refuse(422, 'too_many_members', format('A chat has at most %s members.', p_members_max));
	end if;
	perform seat(p_chat, array[p_me], 'member', null, p_head + 1);
	v_pos := count_members(p_chat, 1, p_head + 2, false);
	v_said := system_messages(p_chat, v_pos + 1, p_at, p_me, (select case when tells_members(c) then jsonb_build_object('code', 'member_joined') end from chat c where c.id = p_chat));
	perform log_append(p_head + 1, v_said.upto, p_at, chat_lines(p_chat, p_head + 1) || v_said.lines);
	return v_said.upto;
end $$;

-- PUT /v1/chats/C/members/NAME: state says which operation it is.
create function member_set(p_me text, p_chat text, p_name text, p_role text, p_muted_until timestamptz, p_state text, p_members_max int)
	returns table (pos bigint, body text)
language plpgsql as $$
begin
	if p_state in ('banned', 'left') and num_nonnulls(p_role, p_muted_until) > 0 then
		perform refuse(422, 'out_of_range', 'Neither role nor muting comes with a ban, or its end.');
	end if;
	if p_state = 'banned' then
		return query select * from member_ban(p_me, p_chat, p_name);
	elsif p_state = 'left' then
		return query select * from member_unban(p_me, p_chat, p_name);
	else
		return query select * from member_put(p_me, p_chat, p_name, p_role, p_muted_until, p_members_max);
	end if;
end $$;

-- State banned: somebody who is, or was, a member goes and can't come back, by whatever way. By the owner and admins, those below
-- them. Who was never there is refused like what isn't there: no event may tell a stranger of a chat.
create function member_ban(p_me text, p_chat text, p_name text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_mine member;
	v_old member;
	v_pos bigint;
	v_said record;
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	v_mine := membership(p_me, v_chat);
	select m.* into v_old from member m where m.chat_id = v_chat and m.name = p_name;
	if exists (select from chat c where c.id = v_chat and c.kind = 'direct') or role_rank(v_mine.role) < 2 or p_name = p_me
			or (v_old.state = 'joined' and role_rank(v_old.role) >= role_rank(v_mine.role)) then
		perform refuse(403, 'forbidden', 'Your role in this chat doesn''t allow that.');
	end if;
	if v_old.chat_id is null then
		perform refuse_absent();
	end if;
	if v_old.state = 'banned' then
		return query select v_old.rev, member_json(v_old)::text;
		return;
	end if;
	v_pos := v.head + 1;
	perform unseat(v_chat, array[p_name], 'banned', v_pos);
	if v_old.state = 'joined' then
		v_pos := count_members(v_chat, -1, v_pos + 1, true);
	end if;
	perform audit_add(v_chat, v.at, p_me, 'banned', p_name);
	v_said := system_messages(v_chat, v_pos + 1, v.at, p_me, (select case when tells_members(c) then jsonb_build_object('code', 'member_banned', 'name', p_name) end from chat c where c.id = v_chat));
	perform log_append(v.head + 1, v_said.upto, v.at, chat_lines(v_chat, v.head + 1) || v_said.lines);
	return query select v_said.upto, member_json(m)::text from member m where m.chat_id = v_chat and m.name = p_name;
end $$;

-- State left: lifts a ban. He isn't a member by that, but may be added or join again. Again: as it is.
create function member_unban(p_me text, p_chat text, p_name text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_mine member;
	v_old member;
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	v_mine := membership(p_me, v_chat);
	if role_rank(v_mine.role) < 2 then
		perform refuse(403, 'forbidden', 'Your role in this chat doesn''t allow that.');
	end if;
	select m.* into v_old from member m where m.chat_id = v_chat and m.name = p_name;
	if v_old.chat_id is null then
		perform refuse_absent();
	end if;
	if v_old.state = 'joined' then
		perform refuse(422, 'out_of_range', 'The state left lifts a ban; to remove a member is a DELETE.');
	end if;
	if v_old.state = 'banned' then
		perform unseat(v_chat, array[p_name], 'left', v.head + 1);
		perform audit_add(v_chat, v.at, p_me, 'unbanned', p_name);
		perform log_append(v.head + 1, v.head + 1, v.at, chat_lines(v_chat, v.head + 1));
	end if;
	return query select m.rev, member_json(m)::text from member m where m.chat_id = v_chat and m.name = p_name;
end $$;

-- POST /v1/chats/C/members: many come and go in one transaction. Who can't is in skipped with the code of what a single request would
-- have been refused with; who is in already, or gone already, is passed over.
create function members_change(p_me text, p_chat text, p_add text[], p_remove text[], p_members_max int) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_mine member;
	v_row chat;
	v_add text[];
	v_remove text[];
	v_skipped jsonb;
	v_pos bigint;
	v_said record;
begin
	if p_add && p_remove then
		perform refuse(422, 'out_of_range', 'Nobody can be added and removed at once.');
	end if;
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	v_mine := membership(p_me, v_chat);
	select c.* into v_row from chat c where c.id = v_chat;
	if v_row.kind = 'direct' or (cardinality(p_add) > 0 and role_rank(v_mine.role) < adding_rank(v_row.adding))
			or (cardinality(p_remove) > 0 and role_rank(v_mine.role) < 2) then
		perform refuse(403, 'forbidden', 'Your role in this chat doesn''t allow that.');
	end if;
	with item as materialized (
		select n.name, true as adds, case when a.name is null then 'unknown_user' when m.state = 'banned' then 'banned' when b.name is not null then 'blocked' end as code,
				coalesce(m.state, '') = 'joined' as done
			from (select distinct x as name from unnest(p_add) x) n left join member m on m.chat_id = v_chat and m.name = n.name
			left join account a on a.name = n.name and a.state = 'active' left join block b on b.name = n.name and b.blocked = p_me
		union all
		select n.name, false, case when m.name is null then 'not_found'
				when m.state = 'joined' and (n.name = p_me or role_rank(m.role) >= role_rank(v_mine.role)) then 'forbidden' end, m.state <> 'joined'
			from (select distinct x as name from unnest(p_remove) x) n left join member m on m.chat_id = v_chat and m.name = n.name
	)
	select coalesce(array_agg(i.name order by i.name) filter (where i.adds and i.code is null and not i.done), '{}'),
			coalesce(array_agg(i.name order by i.name) filter (where not i.adds and i.code is null and not i.done), '{}'),
			coalesce(jsonb_agg(jsonb_build_object('name', i.name, 'code', i.code) order by i.name) filter (where i.code is not null), '[]')
		into v_add, v_remove, v_skipped from item i;
	v_row.members_count := v_row.members_count + cardinality(v_add) - cardinality(v_remove);
	if p_members_max > 0 and cardinality(v_add) > 0 and v_row.members_count > p_members_max then
		perform refuse(422, 'too_many_members', format('A chat has at most %s members.', p_members_max));
	end if;
	if cardinality(v_add) + cardinality(v_remove) > 0 then
		perform unseat(v_chat, v_remove, 'kicked', v.head + 1);
		perform seat(v_chat, v_add, 'member', null, v.head + 1 + cardinality(v_remove));
		v_pos := count_members(v_chat, cardinality(v_add) - cardinality(v_remove), v.head + 1 + cardinality(v_remove) + cardinality(v_add), true);
		perform audit_add(v_chat, v.at, p_me, 'members_changed', null, jsonb_build_object('added', cardinality(v_add), 'removed', cardinality(v_remove),
			'added_names', to_jsonb(v_add[1:100]), 'removed_names', to_jsonb(v_remove[1:100])));
		v_said := system_messages(v_chat, v_pos + 1, v.at, p_me,
			(select case when tells_members(c) and cardinality(v_add) > 0 then jsonb_build_object('code', 'members_added', 'names', v_add) end
				from chat c where c.id = v_chat),
			(select case when tells_members(c) and cardinality(v_remove) between 1 and crowd() then jsonb_build_object('code', 'members_removed', 'names', v_remove) end
				from chat c where c.id = v_chat));
		v_pos := v_said.upto;
		perform log_append(v.head + 1, v_pos, v.at, chat_lines(v_chat, v.head + 1) || v_said.lines);
	end if;
	return query select v_pos, jsonb_build_object('added', cardinality(v_add), 'removed', cardinality(v_remove), 'members_count', v_row.members_count,
		'skipped', v_skipped)::text;
end $$;

-- Refuses what can't be set of chat p_chat (null: a new one) of that kind, or not by somebody of that role. Callers: POST /v1/chats and PATCH
-- /v1/chats/C, under the log lock.
create function require_settings(p_chat bigint, p_role text, p_kind text, p_handle text, p_posting text, p_adding text) returns void
language plpgsql stable as $$
begin
	if p_role <> 'owner' and num_nonnulls(p_handle, p_adding) > 0 then
		perform refuse(403, 'forbidden', 'Only the owner says who may add members, and whether a channel is public.');
	end if;
	if p_kind = 'channel' and p_posting = 'members' then
		perform refuse(422, 'bad_chat', 'In a channel only the owner and admins post.');
	end if;
	if p_handle is not null and p_kind <> 'channel' then
		perform refuse(422, 'bad_chat', 'Only a channel has a public name.');
	end if;
	if p_handle <> '' and p_handle !~ '^[a-z0-9][a-z0-9_.-]{1,31}$' then
		perform refuse(422, 'bad_name', 'A public name is 2 to 32 of a-z, 0-9, "_", "." and "-", and begins with a letter or a digit.');
	end if;
	if exists (select from chat c where c.handle = p_handle and c.id is distinct from p_chat) then
		perform refuse(409, 'name_taken', format('There is a channel %s already.', p_handle));
	end if;
end $$;

-- ---- public channels ----

-- A public channel as those see it who aren't in it.
create function channel_json(p_me text, c chat) returns jsonb
language sql stable as $$
	select jsonb_build_object('id', c.id, 'handle', c.handle, 'title', c.title, 'members_count', c.members_count, 'created_at', stamp(c.created_at),
		'joined', exists (select from member m where m.chat_id = c.id and m.name = p_me and m.state = 'joined'))
$$;

-- GET /v1/channels: those that are public, by their public name; found by the beginning of it, or of any word of the title. Who is banned
-- doesn't find the channel. The cursor is the last name seen.
create function channels(p_me text, p_q text, p_cursor text, p_limit int) returns table (body text)
language sql stable as $$
	with page as (
		select c from chat c
			where c.handle is not null and c.state = 'active' and (p_cursor is null or c.handle > p_cursor)
				and (p_q is null or starts_with(c.handle, lower(p_q)) or starts_with(lower(c.title), lower(p_q)) or strpos(lower(c.title), ' ' || lower(p_q)) > 0)
				and not exists (select from member m where m.chat_id = c.id and m.name = p_me and m.state = 'banned')
			order by c.handle limit p_limit + 1
	), kept as (select c from page order by (c).handle limit p_limit)
	select jsonb_strip_nulls(jsonb_build_object('channels', coalesce(jsonb_agg(channel_json(p_me, c) order by (c).handle), '[]'),
		'next', case when (select count(*) from page) > p_limit then max((c).handle) end))::text from kept
$$;

-- The public channel of that name, unless p_me is banned from it.
create function channel_of(p_me text, p_handle text) returns chat
language plpgsql stable as $$
declare
	v_chat chat;
begin
	select c.* into v_chat from chat c where c.handle = p_handle and c.state = 'active'
		and not exists (select from member m where m.chat_id = c.id and m.name = p_me and m.state = 'banned');
	if not found then
		perform refuse_absent();
	end if;
	return v_chat;
end $$;

-- GET /v1/channels/HANDLE
create function channel_get(p_me text, p_handle text) returns table (body text)
language plpgsql stable as $$
begin
	return query select channel_json(p_me, channel_of(p_me, p_handle))::text;
end $$;

-- POST /v1/channels/HANDLE: joins. Again: 200 as well.
create function channel_join(p_me text, p_handle text, p_members_max int) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat chat;
	v_pos bigint;
begin
	v := log_begin();
	v_chat := channel_of(p_me, p_handle);
	v_pos := join_chat(v.head, v.at, p_me, v_chat.id, p_members_max);
	return query select v_pos, chat_view(p_me, v_chat.id);
end $$;

-- ---- slow mode and the chat's rate ----

-- Whether a plain member's message may be sent at p_at in a chat whose gate is "paced"; it counts then. Else code says why not, and refrain
-- is how many a minute (slow mode: 1) are let through, and after how many seconds to try again. The log lock is held.
create function pace_take(p_chat bigint, p_sender text, p_at timestamptz, out code text, out refrain text)
language plpgsql as $$
declare
	v_slow interval;
	v_rate int;
	v_last timestamptz;
	v_arrival timestamptz;
	v_tolerance interval; -- bursts of a sixth of a minute's messages
begin
	select make_interval(secs => c.slow_mode), c.rate_limit into v_slow, v_rate from chat c where c.id = p_chat;
	select p.at into v_last from pace p where p.chat_id = p_chat and p.name = p_sender;
	if v_last + v_slow > p_at then
		code := 'slow_mode';
		refrain := '1 ' || ceil(extract(epoch from v_last + v_slow - p_at));
		return;
	end if;
	if v_rate > 0 then
		v_tolerance := interval '1 minute' / v_rate * (greatest(v_rate / 6, 1) - 1);
		select greatest(p.at, p_at) into v_arrival from pace p where p.chat_id = p_chat and p.name = '*';
		if v_arrival > p_at + v_tolerance then
			code := 'chat_rate_limited';
			refrain := v_rate || ' ' || ceil(extract(epoch from v_arrival - v_tolerance - p_at));
			return;
		end if;
		insert into pace values (p_chat, '*', coalesce(v_arrival, p_at) + interval '1 minute' / v_rate)
			on conflict (chat_id, name) do update set at = excluded.at;
	end if;
	if v_slow > interval '0' then
		insert into pace values (p_chat, p_sender, p_at) on conflict (chat_id, name) do update set at = excluded.at;
	end if;
end $$;

-- An item of a batch whose chat's gate is "paced": send() has found nothing else against it. p_id is its position.
create function send_paced(p_id bigint, p_at timestamptz, p_chat bigint, p_sender text, p_key text, p_hash text, p_text text, p_type text, p_content text,
	p_reply_to bigint, p_received bigint, out code text, out body text, out line text)
language plpgsql as $$
begin
	select p.code, p.refrain into code, body from pace_take(p_chat, p_sender, p_at) p;
	if code is not null then
		return;
	end if;
	select m.body, m.line into body, line from message_store(p_id, p_at, p_chat, p_sender, 'member', p_key, p_hash, p_text, p_type, p_content, p_reply_to, p_received,
		(select c.message_ttl from chat c where c.id = p_chat), null) m;
end $$;
