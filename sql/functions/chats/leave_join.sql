-- SPDX-License-Identifier: MIT
-- Members who leave or are removed, and users who join by themselves.

-- Removes a member, or leaves if p_name is the caller. When the owner leaves, the admin, else the member, who
-- has been there longest and can still sign in becomes the owner. With its last member the chat is deleted,
-- because an invite or its handle could lead into a chat without an owner. Nobody leaves a direct chat.
-- Removing a former member again also succeeds.
-- Callers: DELETE /v1/chats/{chat}/members/{name}, erase_membership().
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found.
create function member_delete(p_me text, p_chat text, p_name text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_mine member;
	v_old member;
	v_new_owner text;
	v_pos bigint;
	v_system record;
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	v_mine := membership(p_me, v_chat);
	select m.* into v_old from member m where m.chat_id = v_chat and m.name = p_name;
	if exists (select from chat c where c.id = v_chat and c.kind = 'direct')
		or (
			p_name <> p_me
			and (
				role_rank(v_mine.role) < 2
				or (
					v_old.state = 'joined'
					and role_rank(v_old.role) >= role_rank(v_mine.role)
				)
			)
		)
	then
		perform refuse('forbidden');
	end if;
	if v_old.chat_id is null then
		perform refuse_absent();
	end if;
	if v_old.state <> 'joined' then
		return query select v_old.rev, null::text;
		return;
	end if;
	v_pos := v.head + 1;
	perform members_remove(
		v_chat, array[p_name], case when p_name = p_me then 'left' else 'kicked' end, v_pos
	);
	if p_name <> p_me then
		perform audit_add(v_chat, v.at, p_me, 'kicked', p_name);
	end if;
	if v_old.role = 'owner' then
		update member m
		set role = 'owner', muted_until = null, rev = v_pos + 1, quiet = false
		where m.chat_id = v_chat
			and m.name = (
				select x.name
				from member x
				left join account a on a.name = x.name
				where x.chat_id = v_chat and x.state = 'joined'
				order by a.state = 'active' desc nulls last, role_rank(x.role) desc, x.since
				limit 1
			)
		returning m.name into v_new_owner;
		if found then
			v_pos := v_pos + 1;
			perform audit_add(
				v_chat, v.at, p_me, 'role_changed', v_new_owner, '{"role":"owner"}'
			);
		end if;
	end if;
	v_pos := count_members(v_chat, -1, v_pos + 1, p_name <> p_me);
	if exists (select from chat c where c.id = v_chat and c.members_count = 0) then
		perform chat_set_deleted(v_chat, v_pos);
	end if;
	v_system := system_messages(
		v_chat, v_pos + 1, v.at, p_me,
		(
			select case
				when announces_members(c) then case
					when p_name = p_me then jsonb_build_object('code', 'member_left')
					else jsonb_build_object('code', 'member_removed', 'name', p_name)
				end
			end
			from chat c
			where c.id = v_chat
		),
		case
			when v_new_owner is not null then jsonb_build_object(
				'code', 'owner_changed',
				'name', v_new_owner
			)
		end
	);
	perform log_append(
		v.head + 1, v_system.upto, v.at,
		coalesce(chat_lines(v_chat, v.head + 1), '') || v_system.lines
	);
	return query select v_system.upto, null::text;
end $$;

-- Adds p_me to a chat that they may join by themselves. Returns the last position taken, null if they are a
-- member already. A banned user gets the same error as for a chat that doesn't exist.
-- Callers: channel_join(), chat_request_accept(), invite_join().
-- Locks: the caller holds the log lock.
-- Errors: 404 not_found; 422 too_many_chats, too_many_members.
create function join_chat(
	p_head bigint,
	p_at timestamptz,
	p_me text,
	p_chat bigint,
	p_members_max int,
	p_chats_max int
) returns bigint
language plpgsql as $$
declare
	v_state text := (select m.state from member m where m.chat_id = p_chat and m.name = p_me);
	v_pos bigint;
	v_system record;
begin
	if v_state = 'joined' then
		return null;
	end if;
	if v_state = 'banned' then
		perform refuse_absent();
	end if;
	perform require_room(p_me, p_chats_max);
	if p_members_max > 0 and (select c.members_count from chat c where c.id = p_chat) >= p_members_max
	then
		perform refuse(
			'too_many_members', format('A chat has at most %s members.', p_members_max)
		);
	end if;
	perform members_add(p_chat, array[p_me], 'member', null, p_head + 1);
	v_pos := count_members(p_chat, 1, p_head + 2, false);
	v_system := system_messages(
		p_chat, v_pos + 1, p_at, p_me,
		(
			select case
				when announces_members(c) then jsonb_build_object('code', 'member_joined')
			end
			from chat c
			where c.id = p_chat
		)
	);
	perform log_append(
		p_head + 1, v_system.upto, p_at, chat_lines(p_chat, p_head + 1) || v_system.lines
	);
	return v_system.upto;
end $$;
