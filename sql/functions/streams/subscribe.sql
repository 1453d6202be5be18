-- SPDX-License-Identifier: MIT
-- What a stream reads when it starts.

-- Everything that a worker needs to open a stream for p_name, in one snapshot: the head and its check, the
-- epoch, the horizon (older cursors can't be served), and the user's chats. doc/protocols.md, "Chats of a
-- subscriber", describes that text. Deleted chats are included while their rows exist, so that their last
-- event is found.
-- Caller: hub/audience.c.
create function subscribe(p_name text)
returns table (head bigint, head_check bigint, epoch text, horizon bigint, chats text)
language sql stable rows 1 as $$
	select log_head(), log_check(log_head()), (select value from meta where key = 'epoch'),
		(select value::bigint from meta where key = 'horizon'),
		(
			select string_agg(m.chat_id || ':' || m.since || ':' || m.floor, ' ')
			from member m
			where m.name = p_name and m.state = 'joined'
		)
$$;

-- Everything that a worker needs to judge a cursor, in one snapshot: the check of p_pos (null beyond the
-- head), the position up to which cursors without a check are valid, the head with its check, the epoch, the
-- horizon.
-- Caller: hub/audience.c.
create function log_look(p_pos bigint)
returns table ("check" bigint, unchecked bigint, head bigint, head_check bigint, epoch text, horizon bigint)
language sql stable rows 1 as $$
	select log_check(p_pos), (select value::bigint from meta where key = 'unchecked'), log_head(),
		log_check(log_head()), (select value from meta where key = 'epoch'),
		(select value::bigint from meta where key = 'horizon')
$$;
