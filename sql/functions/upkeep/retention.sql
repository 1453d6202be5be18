-- SPDX-License-Identifier: MIT
-- Retention: messages are deleted when they are as old as the administrators say, for all chats or for one.
-- They go as if each had been deleted, pinned and system messages too.
--
-- The chat's row has the value that is in effect, so that its event tells its members. A value for all chats
-- is therefore set on one chat after the other, each with an event of its own. Chats that are created
-- meanwhile have it from the start.

-- The retention of all chats in seconds; null: messages stay.
-- Callers: admin_chat_patch(), retention_apply(), retention_init_chat(), retention_json(), retention_set().
create function retention_for_all() returns int
language sql stable as $$ select value::int from meta where key = 'retention' $$;

-- Refuses a retention of less than an hour: it is probably a number of days by mistake, and the messages would
-- be lost. 0 removes the retention.
-- Callers: admin_chat_patch(), retention_set().
-- Errors: 422 out_of_range.
create function require_retention(p_seconds int) returns void
language plpgsql as $$
begin
	if p_seconds between 1 and 3599 then
		perform refuse(
			'out_of_range', 'retention must be 0, or 3600 (an hour) or more seconds.'
		);
	end if;
end $$;

-- Gives a new chat the retention of all chats.
-- Caller: chat_insert().
-- Locks: the caller holds the log lock.
create function retention_init_chat(p_chat bigint, p_at timestamptz) returns void
language plpgsql as $$
declare
	v_all int := retention_for_all();
begin
	if v_all is not null then
		update chat c set retention = v_all where c.id = p_chat;
		insert into retention_due (chat_id, due_at) values (p_chat, p_at + v_all * interval '1 s');
	end if;
end $$;

-- Sets the retention that is in effect for a chat, at position p_rev. Returns the chat's frame line.
-- Callers: admin_chat_patch(), retention_apply().
-- Locks: the caller holds the log lock.
create function retention_set_chat(p_chat bigint, p_seconds int, p_at timestamptz, p_rev bigint)
returns text
language plpgsql as $$
declare
	v_row chat;
begin
	update chat c
	set retention = p_seconds, members_told = members_count, rev = p_rev
	where c.id = p_chat
	returning * into v_row;
	if p_seconds is null then
		delete from retention_due d where d.chat_id = p_chat;
	else
		insert into retention_due as d (chat_id, due_at)
		values (p_chat, p_at)
		on conflict (chat_id) do update set due_at = excluded.due_at;
	end if;
	return chat_line(v_row);
end $$;

-- The JSON of the retention of all chats: "applied" says if every chat has it, "behind" for how many seconds
-- the oldest messages have been overdue.
-- Callers: retention_get(), retention_set().
create function retention_json() returns text
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object(
		'retention', retention_for_all(),
		'applied', not exists (select from meta where key = 'retention_from'),
		'behind', retention_behind()
	))::text
$$;

-- Returns the retention of all chats.
-- Callers: GET /v1/admin/retention, cli/retention.c.
-- Errors: 403 forbidden.
create function retention_get(p_me text) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	return query select retention_json();
end $$;

-- Sets the retention of all chats that have none of their own.
-- Callers: PATCH /v1/admin/retention, cli/retention.c.
-- Locks: the log lock.
-- Errors: 403 forbidden; 422 out_of_range.
create function retention_set(p_me text, p_seconds int) returns table (body text)
language plpgsql as $$
declare
	v_was int;
begin
	perform log_begin();
	perform require_admin_or_shell(p_me);
	perform require_retention(p_seconds);
	v_was := retention_for_all();
	if nullif(p_seconds, 0) is distinct from v_was then
		if p_seconds = 0 then
			delete from meta where key = 'retention';
		else
			insert into meta
			values ('retention', p_seconds::text)
			on conflict (key) do update set value = excluded.value;
		end if;
		insert into meta
		values ('retention_from', '0')
		on conflict (key) do update set value = excluded.value;
		perform admin_audit_add(
			coalesce(p_me, 'server'), 'retention_changed', null,
			jsonb_build_object('retention', p_seconds, 'was', coalesce(v_was, 0))
		);
	end if;
	return query select retention_json();
end $$;

-- Sets the retention of one chat, whatever holds for all. 0: as for all chats. Null leaves it as it is.
-- Callers: PATCH /v1/admin/chats/{chat}, cli/retention.c.
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found; 422 out_of_range.
create function admin_chat_patch(p_me text, p_chat bigint, p_retention int)
returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_old chat;
	v_line text;
	v_system record;
begin
	v := log_begin();
	perform require_admin_or_shell(p_me);
	perform require_retention(p_retention);
	v_old := admin_chat_of(p_chat);
	if p_retention is null or nullif(p_retention, 0) is not distinct from v_old.retention_own then
		return query select v_old.rev, admin_chat_json(v_old)::text;
		return;
	end if;
	update chat c set retention_own = nullif(p_retention, 0) where c.id = p_chat;
	v_line := retention_set_chat(
		p_chat, coalesce(nullif(p_retention, 0), retention_for_all()), v.at, v.head + 1
	);
	perform audit_add(
		p_chat, v.at, coalesce(p_me, 'server'), 'retention_changed', null,
		jsonb_build_object('retention', p_retention)
	);
	perform admin_audit_add(
		coalesce(p_me, 'server'), 'retention_changed', null,
		jsonb_build_object(
			'chat', p_chat,
			'retention', p_retention,
			'was', coalesce(v_old.retention_own, 0)
		)
	);
	v_system := system_messages(
		p_chat, v.head + 2, v.at, coalesce(p_me, 'server'),
		(
			select jsonb_build_object(
				'code', 'retention_changed',
				'retention', coalesce(c.retention, 0)
			)
			from chat c
			where c.id = p_chat and c.retention is distinct from v_old.retention
		)
	);
	perform log_append(v.head + 1, v_system.upto, v.at, v_line || v_system.lines);
	return query select v_system.upto, admin_chat_json(c)::text from chat c where c.id = p_chat;
end $$;
