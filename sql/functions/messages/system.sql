-- SPDX-License-Identifier: MIT
-- System messages: what happens in a chat, among what is said there. A code and its arguments, for the client to put into words; from
-- is who did it. They are written by the functions that change the chat, in the same transaction, at the positions after the chat's own.

-- Writes one for each content that isn't null, at p_pos and after it, in a chat that has them; gives their frames, and the last position
-- taken (p_pos - 1: none).
-- Holds the log lock.
create function system_messages(p_chat bigint, p_pos bigint, p_at timestamptz, p_from text, variadic p_contents jsonb[],
	out lines text, out upto bigint)
language plpgsql as $$
declare
	v_content jsonb;
	v_message message;
begin
	lines := '';
	upto := p_pos - 1;
	if exists (select from chat c where c.id = p_chat and (c.system_messages = 'none' or c.state = 'deleted')) then
		return;
	end if;
	foreach v_content in array p_contents loop
		if v_content is not null then
			upto := upto + 1;
			insert into message (chat_id, id, rev, sender, at, type, content) values (p_chat, upto, upto, p_from, p_at, 'system', v_content)
				returning * into v_message;
			lines := lines || frame_line(upto, 'message', p_chat::text, p_from, upto, 0, message_json(v_message));
		end if;
	end loop;
end $$;

-- Whether comings and goings are told in that chat: in groups that aren't so large that there would be nothing else to read.
create function tells_members(c chat) returns boolean
language sql immutable as $$ select c.kind = 'group' and c.members_count <= 100 $$;
