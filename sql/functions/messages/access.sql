-- SPDX-License-Identifier: MIT
-- Finds messages and checks who may read and write.

-- The message that p_me wants to forward, with "forwarded" naming its author and time, but not its chat. Null
-- if it doesn't exist, if its time is over, if p_me may not read it, or if it is a system message.
-- Caller: send_one().
create function forwardable_message(p_me text, p_chat bigint, p_id bigint) returns message
language plpgsql stable as $$
declare
	v_message message;
begin
	select m.* into v_message
	from message m
	join member x on x.chat_id = m.chat_id and x.name = p_me and x.state = 'joined' and m.id > x.floor
	join chat c on c.id = m.chat_id and c.state = 'active'
	where m.chat_id = p_chat and m.id = p_id and m.type is distinct from 'system'
		and (m.expires_at is null or m.expires_at > clock_timestamp());
	if found then
		v_message.forwarded := coalesce(
			v_message.forwarded,
			jsonb_build_object('from', v_message.sender, 'at', stamp(v_message.at))
		);
	end if;
	return v_message;
end $$;

-- A message as p_member may see it.
-- Callers: every function of a route below /v1/chats/{chat}/messages/{id}.
-- Errors: 404 not_found; 410 gone.
create function message_of(p_member member, p_id bigint) returns message
language plpgsql stable as $$
declare
	v_message message;
begin
	select m.* into v_message
	from message m
	where m.chat_id = p_member.chat_id and m.id = p_id and m.id > p_member.floor;
	if not found then
		if p_id > p_member.floor
			and exists (
				select from tombstone t where t.chat_id = p_member.chat_id and t.id = p_id
			)
		then
			perform refuse('gone');
		end if;
		perform refuse_absent();
	end if;
	return v_message;
end $$;

-- Refuses members who may not write in the chat at p_at. Slow mode and rate limit don't count here: they are
-- for new messages.
-- Caller: message_edit().
-- Errors: 403 blocked, forbidden, muted.
create function require_writer(p_member member, p_at timestamptz) returns void
language plpgsql stable as $$
declare
	v_code text := (
		select send_refusal(
			p_at, p_member.state, p_member.role, p_member.muted_until, p_member.floor, c.state,
			c.gate, null, true
		)
		from chat c
		where c.id = p_member.chat_id
	);
begin
	if v_code in ('muted', 'forbidden', 'blocked') then
		perform refuse(v_code);
	end if;
end $$;
