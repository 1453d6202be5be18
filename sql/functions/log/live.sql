-- SPDX-License-Identifier: MIT
-- Live events: what happens now and is not in the log. They have no position and nobody can read them later,
-- so that no row is written for them.

-- One live line; doc/protocols.md, "Live line", describes the format.
--   p_chats   the chats whose members receive it, separated by commas; null: none
--   p_users   the users who receive it, separated by commas; * for all; null: none
--   p_except  the user who does not receive it; null: nobody is left out
-- Callers: the functions that publish presence, receipts, typing, signals and announcements.
create function live_line(p_kind text, p_chats text, p_users text, p_except text, p_json text)
returns text
language sql stable as $$
	select concat(
		p_kind, ' ', coalesce(p_chats, '-'), ' ', coalesce(p_users, '-'), ' ',
		coalesce(p_except, '-'), ' ', p_json, E'\n'
	)
$$;

-- Publishes live lines to every worker with NOTIFY postern_live when the transaction commits. Null: nothing
-- happens.
-- Callers: the functions that publish presence, receipts, typing, signals and announcements.
create function live_append(p_lines text) returns void
language plpgsql as $$
declare
	v_parts text[];
begin
	if p_lines is null then
		return;
	end if;
	v_parts := split_text(p_lines, 7900);
	for i in 1 .. cardinality(v_parts) loop
		perform pg_notify('postern_live', i || ' ' || cardinality(v_parts) || E'\n' || v_parts[i]);
	end loop;
end $$;

-- Lets this transaction commit without waiting for the disk. For transactions whose changes may be lost in a
-- crash.
-- Callers: credentials_used(), presence_sweep(), present_set(), signal(), typing().
create function commit_without_sync() returns void
language sql as $$ select set_config('synchronous_commit', 'off', true) $$;
