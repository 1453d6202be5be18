-- SPDX-License-Identifier: MIT
-- Frame lines: how an event is written for src/log/frame.c. doc/protocols.md describes the format.

-- One frame line. It is declared stable, not immutable: concat() is stable, and an immutable function that
-- calls it would not be inlined.
-- Callers: the other functions of this file, the functions that write messages, log_frames().
create function frame_line(
	p_pos bigint,
	p_kind text,
	p_chats text,
	p_user text,
	p_a bigint,
	p_b bigint,
	p_json text
) returns text
language sql stable as $$
	select concat(p_pos, ' ', p_kind, ' ', p_chats, ' ', p_user, ' ', p_a, ' ', p_b, ' ', p_json, E'\n')
$$;

-- The frame line of a membership.
-- Callers: chat_lines(), log_frames().
create function member_line(m member) returns text
language sql stable as $$
	select frame_line(
		m.rev, 'member', case when m.quiet then '~' else '' end || m.chat_id, m.name,
		case m.state when 'joined' then m.since else 0 end, m.floor, member_json(m)::text
	)
$$;

-- The frame line of a chat.
-- Callers: the functions that change a chat, log_frames().
create function chat_line(c chat) returns text
language sql stable as $$
	select frame_line(
		c.rev, 'chat', c.id::text, '-', 0, case c.state when 'deleted' then 1 else 0 end,
		chat_json(c)::text
	)
$$;

-- The frame line of a reaction.
-- Callers: erase_reactions(), log_frames(), reaction_delete(), reaction_put().
create function reaction_line(r reaction) returns text
language sql stable as $$
	select frame_line(
		r.rev, 'reaction', r.chat_id::text, r.name, r.message_id, hashtextextended(r.emoji, 0),
		reaction_json(r)
	)
$$;

-- The frame line of an account. It goes to the account's user and to everyone who shares a chat with them. The
-- line of a deleted account also goes to the chats that the user had left, because messages there still name
-- them as the sender.
-- Callers: account_delete(), avatar_set(), log_frames(), me_patch(), user_add(), user_set_state().
create function account_line(a account) returns text
language sql stable as $$
	select frame_line(
		a.rev, 'user',
		coalesce((
			select string_agg(m.chat_id::text, ',')
			from member m
			where m.name = a.name and (m.state = 'joined' or a.state = 'deleted')
		), '-'),
		a.name, 0, 0, account_json(a)::text
	)
$$;

-- The frame line of a message that was changed by p_by, at its rev.
-- Callers: pin_delete(), pin_put().
create function message_line(m message, p_by text) returns text
language sql stable as $$
	select frame_line(m.rev, 'message', m.chat_id::text, p_by, m.id, 0, message_json(m))
$$;
