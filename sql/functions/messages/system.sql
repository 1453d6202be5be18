-- SPDX-License-Identifier: MIT
-- System messages: changes of a chat, shown among its messages. They carry a code and arguments, which the
-- client puts into words. The sender is the user who made the change. The function that changes the chat
-- writes them in the same transaction, at the positions after the chat's own.

-- Writes a system message for each content that isn't null, at p_pos and after, if the chat has system
-- messages. Returns their frame lines and the last position taken (p_pos - 1: none).
-- Callers: the functions that change a chat or its members.
-- Locks: the caller holds the log lock.
create function system_messages(
	p_chat bigint,
	p_pos bigint,
	p_at timestamptz,
	p_from text,
	variadic p_contents jsonb[],
	out lines text,
	out upto bigint
)
language plpgsql as $$
declare
	v_content jsonb;
	v_message message;
begin
	lines := '';
	upto := p_pos - 1;
	if exists (
		select
		from chat c
		where c.id = p_chat and (c.system_messages = 'none' or c.state = 'deleted')
	) then
		return;
	end if;
	foreach v_content in array p_contents loop
		if v_content is not null then
			upto := upto + 1;
			insert into message (chat_id, id, rev, sender, at, type, content)
			values (p_chat, upto, upto, p_from, p_at, 'system', v_content)
			returning * into v_message;
			lines := lines
				|| frame_line(
					upto, 'message', p_chat::text, p_from, upto, 0,
					message_json(v_message)
				);
		end if;
	end loop;
end $$;

-- Returns true if a chat has system messages about members: a group of at most 100 members.
-- Callers: join_chat(), member_ban(), member_delete(), member_put(), members_change().
create function announces_members(c chat) returns boolean
language sql immutable as $$ select c.kind = 'group' and c.members_count <= 100 $$;
