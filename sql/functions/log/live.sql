-- SPDX-License-Identifier: MIT
-- What happens now and isn't in the log: it has no position, nobody reads it later, and no row has to be written for it.

-- One line: kind, the chats whose members hear of it, the users who do (commas between, - for none, * for all), who doesn't (- for nobody), JSON.
create function live_line(p_kind text, p_chats text, p_users text, p_except text, p_json text) returns text
language sql stable as $$
	select concat(p_kind, ' ', coalesce(p_chats, '-'), ' ', coalesce(p_users, '-'), ' ', coalesce(p_except, '-'), ' ', p_json, E'\n')
$$;

-- Tells the lines to every worker, when the transaction commits. The first line of a notification is "part parts".
create function live_append(p_lines text) returns void
language plpgsql as $$
declare
	v_parts text[];
begin
	if p_lines is null then
		return;
	end if;
	v_parts := cut(p_lines, 7900);
	for i in 1 .. cardinality(v_parts) loop
		perform pg_notify('postern_live', i || ' ' || cardinality(v_parts) || E'\n' || v_parts[i]);
	end loop;
end $$;

-- Nothing was written that a crash may not take: the commit needn't wait for the disk.
create function live_only() returns void
language sql as $$ select set_config('synchronous_commit', 'off', true) $$;

-- The number of the chat that p_chat names for p_me, as chat_of(); null when there is none.
create function chat_named(p_me text, p_chat text) returns bigint
language sql stable as $$
	select case when p_chat ~ '^[0-9]{1,18}$' then p_chat::bigint
		else (select c.id from chat c where c.pair = pair_of(p_me, substr(p_chat, 2)) and c.state = 'active') end
$$;
