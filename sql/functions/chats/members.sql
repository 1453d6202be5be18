-- SPDX-License-Identifier: MIT
-- Members who come and go one at a time.

-- Lists a chat's members by name. The banned ones are for the owner and admins. The cursor is the last name of
-- the page before.
-- Caller: GET /v1/chats/{chat}/members.
-- Errors: 403 forbidden; 404 not_found.
create function members(p_me text, p_chat text, p_state text, p_cursor text, p_limit int)
returns table (body text)
language plpgsql stable as $$
declare
	v_chat bigint := chat_of(p_me, p_chat);
begin
	if role_rank((membership(p_me, v_chat)).role) < 2 and p_state <> 'joined' then
		perform refuse('forbidden', 'Only the owner and admins see who is banned.');
	end if;
	return query
		with page as (
			select m
			from member m
			where m.chat_id = v_chat
				and m.state = p_state
				and (p_cursor is null or m.name > p_cursor)
			order by m.name
			limit p_limit + 1
		), kept as (
			select m from page order by (m).name limit p_limit
		)
		select jsonb_strip_nulls(jsonb_build_object(
			'members', coalesce(jsonb_agg(member_json(m) order by (m).name), '[]'),
			'next', case when (select count(*) from page) > p_limit then max((m).name) end
		))::text
		from kept;
end $$;

-- Calls the function for the requested state: member_ban(), member_unban() or member_put().
-- Caller: PUT /v1/chats/{chat}/members/{name}.
-- Locks: the log lock.
-- Errors: 403 banned, blocked, forbidden; 404 not_found; 422 bad_role, out_of_range, too_many_chats,
--   too_many_members, unknown_user; 429 rate_limited.
create function member_set(
	p_me text,
	p_chat text,
	p_name text,
	p_role text,
	p_muted_until timestamptz,
	p_state text,
	p_members_max int,
	p_chats_max int,
	p_rate_strangers int
) returns table (pos bigint, status int, body text)
language plpgsql as $$
begin
	if p_state in ('banned', 'left') and (p_role is not null or p_muted_until > clock_timestamp()) then
		perform refuse(
			'out_of_range', 'Neither role nor muting comes with a ban, or its end.'
		);
	end if;
	if p_state = 'banned' then
		return query select m.pos, 200, m.body from member_ban(p_me, p_chat, p_name) m;
	elsif p_state = 'left' then
		return query select m.pos, 200, m.body from member_unban(p_me, p_chat, p_name) m;
	else
		return query
			select *
			from member_put(
				p_me, p_chat, p_name, p_role, p_muted_until, p_members_max, p_chats_max,
				p_rate_strangers
			);
	end if;
end $$;

-- Adds a member, or changes a member's role or muting. Who wants to be asked first is asked: status 202.
-- Null leaves a value as it is; a new member has the role "member". The chat's setting "adding" says who
-- may add. The owner and admins may mute members below them. Only the owner may change roles; making
-- somebody else the owner hands the chat over. A muted_until in the past unmutes. A new owner is unmuted,
-- because nobody could do it later.
-- Caller: member_set().
-- Locks: the log lock.
-- Errors: 403 banned, blocked, forbidden; 404 not_found; 422 bad_role, too_many_chats,
--   too_many_members, unknown_user; 429 rate_limited.
create function member_put(
	p_me text,
	p_chat text,
	p_name text,
	p_role text,
	p_muted_until timestamptz,
	p_members_max int,
	p_chats_max int,
	p_rate_strangers int
) returns table (pos bigint, status int, body text)
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
	v_system record;
	v_check record := adding_check(p_me, array[p_name], p_chats_max, p_rate_strangers);
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	v_mine := membership(p_me, v_chat);
	select c.kind, c.members_count, c.adding into v_kind, v_count, v_adding
	from chat c
	where c.id = v_chat;
	select * into v_old from member m where m.chat_id = v_chat and m.name = p_name;
	if p_muted_until <= v.at and coalesce(v_old.muted_until <= v.at, true) then
		p_muted_until := null; -- they aren't muted
	end if;
	if v_kind = 'direct'
		or (
			v_old.state is distinct from 'joined'
			and role_rank(v_mine.role) < adding_rank(v_adding)
		)
		or (
			(v_old.state = 'joined' or p_role <> 'member' or p_muted_until is not null)
			and role_rank(v_mine.role) < 2
		)
		or (
			p_role is not null
			and p_role <> coalesce(v_old.role, 'member')
			and v_mine.role <> 'owner'
		)
		or (
			v_old.state = 'joined'
			and p_name <> p_me
			and role_rank(v_old.role) >= role_rank(v_mine.role)
		)
		or (p_name = p_me and (p_role is not null or p_muted_until is not null))
	then
		perform refuse('forbidden');
	end if;
	v_pos := v.head + 1;
	if v_old.state = 'joined' then
		p_role := nullif(p_role, v_old.role);
		if p_role is null
			and (
				p_muted_until is null
				or case
					when p_muted_until > v.at then p_muted_until
				end is not distinct from v_old.muted_until
			)
		then
			return query select v_old.rev, 200, member_json(v_old)::text; -- nothing to change
			return;
		end if;
		if p_role = 'owner' then
			perform require_users(array[p_name]); -- an owner who can't sign in could never hand it over
			update member m
			set role = 'admin', rev = v_pos, quiet = false
			where m.chat_id = v_chat and m.name = p_me;
			v_pos := v_pos + 1;
		end if;
		update member m
		set role = coalesce(p_role, role), rev = v_pos, quiet = false,
			muted_until = case
				when p_role = 'owner' or p_muted_until <= v.at then null
				else coalesce(p_muted_until, muted_until)
			end
		where m.chat_id = v_chat and m.name = p_name
		returning * into v_new;
		if v_new.role <> v_old.role then
			perform audit_add(
				v_chat, v.at, p_me, 'role_changed', p_name,
				jsonb_build_object('role', v_new.role, 'was', v_old.role)
			);
		end if;
		if v_new.muted_until is distinct from v_old.muted_until then
			perform audit_add(
				v_chat, v.at, p_me,
				case when v_new.muted_until is null then 'unmuted' else 'muted' end, p_name,
				jsonb_build_object('muted_until', stamp(v_new.muted_until))
			);
		end if;
	else
		if v_old.state = 'banned' then
			perform refuse('banned', format('%s is banned from this chat.', p_name));
		end if;
		perform require_users(array[p_name]);
		perform require_unblocked(p_me, array[p_name]);
		if p_members_max > 0 and v_count >= p_members_max then
			perform refuse(
				'too_many_members',
				format('A chat has at most %s members.', p_members_max)
			);
		end if;
		if p_role = 'owner' then
			perform refuse('bad_role', 'Add the member first, then hand the chat over.');
		end if;
		perform strangers_take(p_me, p_rate_strangers, cardinality(v_check.strangers));
		if cardinality(v_check.asked) > 0 then
			perform chat_requests_add(p_me, v_chat, v_check.asked);
			return query
				select null::bigint, 202,
					jsonb_build_object(
						'skipped', skipped_json(v_check.asked, 'asked')
					)::text;
			return;
		end if;
		if cardinality(v_check.crowded) > 0 then
			perform refuse('too_many_chats', format('%s is in too many chats.', p_name));
		end if;
		perform members_add(
			v_chat, array[p_name], coalesce(p_role, 'member'), p_muted_until, v_pos
		);
		select * into v_new from member m where m.chat_id = v_chat and m.name = p_name;
		v_pos := count_members(v_chat, 1, v_pos + 1, true);
		perform audit_add(
			v_chat, v.at, p_me, 'added', p_name, jsonb_build_object('role', v_new.role)
		);
	end if;
	v_system := system_messages(
		v_chat, v_pos + 1, v.at, p_me,
		(
			select case
				when v_old.state is distinct from 'joined' then case
					when announces_members(c) then jsonb_build_object(
						'code', 'member_added',
						'name', p_name
					)
				end
				when v_new.role = 'owner' then jsonb_build_object(
					'code', 'owner_changed',
					'name', p_name
				)
				when v_new.role <> v_old.role then jsonb_build_object(
					'code', 'role_changed',
					'name', p_name,
					'role', v_new.role
				)
			end
			from chat c
			where c.id = v_chat
		)
	);
	perform log_append(
		v.head + 1, v_system.upto, v.at, chat_lines(v_chat, v.head + 1) || v_system.lines
	);
	return query select v_system.upto, 200, member_json(v_new)::text;
end $$;
