-- SPDX-License-Identifier: MIT
-- Bans.

-- Bans a member or a former member: they can't come back in any way. The owner and admins may ban members
-- below them. Users who were never a member are refused as unknown, because the event would show them a chat
-- that they don't know.
-- Caller: member_set().
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found.
create function member_ban(p_me text, p_chat text, p_name text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_mine member;
	v_old member;
	v_pos bigint;
	v_system record;
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	v_mine := membership(p_me, v_chat);
	select m.* into v_old from member m where m.chat_id = v_chat and m.name = p_name;
	if exists (select from chat c where c.id = v_chat and c.kind = 'direct')
		or role_rank(v_mine.role) < 2
		or p_name = p_me
		or (v_old.state = 'joined' and role_rank(v_old.role) >= role_rank(v_mine.role))
	then
		perform refuse('forbidden');
	end if;
	if v_old.chat_id is null then
		perform refuse_absent();
	end if;
	if v_old.state = 'banned' then
		return query select v_old.rev, member_json(v_old)::text;
		return;
	end if;
	v_pos := v.head + 1;
	perform members_remove(v_chat, array[p_name], 'banned', v_pos);
	if v_old.state = 'joined' then
		v_pos := count_members(v_chat, -1, v_pos + 1, true);
	end if;
	perform audit_add(v_chat, v.at, p_me, 'banned', p_name);
	v_system := system_messages(
		v_chat, v_pos + 1, v.at, p_me,
		(
			select case
				when announces_members(c) then jsonb_build_object(
					'code', 'member_banned',
					'name', p_name
				)
			end
			from chat c
			where c.id = v_chat
		)
	);
	perform log_append(
		v.head + 1, v_system.upto, v.at, chat_lines(v_chat, v.head + 1) || v_system.lines
	);
	return query
		select v_system.upto, member_json(m)::text
		from member m
		where m.chat_id = v_chat and m.name = p_name;
end $$;

-- Lifts a ban. The user isn't a member by that, but may be added or join again. Does nothing for a former
-- member who is not banned.
-- Caller: member_set().
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found; 422 out_of_range.
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
		perform refuse('forbidden');
	end if;
	select m.* into v_old from member m where m.chat_id = v_chat and m.name = p_name;
	if v_old.chat_id is null then
		perform refuse_absent();
	end if;
	if v_old.state = 'joined' then
		perform refuse(
			'out_of_range', 'The state left lifts a ban; to remove a member is a DELETE.'
		);
	end if;
	if v_old.state = 'banned' then
		perform members_remove(v_chat, array[p_name], 'left', v.head + 1);
		perform audit_add(v_chat, v.at, p_me, 'unbanned', p_name);
		perform log_append(v.head + 1, v.head + 1, v.at, chat_lines(v_chat, v.head + 1));
	end if;
	return query
		select m.rev, member_json(m)::text
		from member m
		where m.chat_id = v_chat and m.name = p_name;
end $$;
