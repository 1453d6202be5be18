-- SPDX-License-Identifier: MIT
-- Retention: messages go when they are as old as the administrators say, of all chats or of one. Really: as if each had been deleted,
-- pinned ones and system messages too.
--
-- The chat's row says what is in effect, so that its event tells its members. What is said for all is therefore put on one chat after the
-- other, each with an event of its own; chats that are made meanwhile have it already.

-- In seconds; null: they stay.
create function retention_for_all() returns int
language sql stable as $$ select value::int from meta where key = 'retention' $$;

-- Less than an hour is rather a number of days by mistake, and what is gone doesn't come back. 0 takes it back.
create function require_retention(p_seconds int) returns void
language plpgsql as $$
begin
	if p_seconds between 1 and 3599 then
		perform refuse(422, 'out_of_range', 'retention must be 0, or 3600 (an hour) or more seconds.');
	end if;
end $$;

-- Gives a new chat what holds for all. Caller: chat_make().
create function retention_begin(p_chat bigint, p_at timestamptz) returns void
language plpgsql as $$
declare
	v_all int := retention_for_all();
begin
	if v_all is not null then
		update chat c set retention = v_all where c.id = p_chat;
		insert into retention_due (chat_id, due_at) values (p_chat, p_at + v_all * interval '1 s');
	end if;
end $$;

-- Puts into effect what now holds for a chat, at p_rev; gives its frame. Holds the log lock.
create function retention_put(p_chat bigint, p_seconds int, p_at timestamptz, p_rev bigint) returns text
language plpgsql as $$
declare
	v_row chat;
begin
	update chat c set retention = p_seconds, members_told = members_count, rev = p_rev where c.id = p_chat returning * into v_row;
	if p_seconds is null then
		delete from retention_due d where d.chat_id = p_chat;
	else
		insert into retention_due as d (chat_id, due_at) values (p_chat, p_at) on conflict (chat_id) do update set due_at = excluded.due_at;
	end if;
	return chat_line(v_row);
end $$;

-- What holds for all, whether every chat has it, and for how many seconds the longest due messages have been.
create function retention_json() returns text
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object('retention', retention_for_all(),
		'applied', not exists (select from meta where key = 'retention_from'), 'behind', retention_behind()))::text
$$;

-- GET /v1/admin/retention, postern retention
create function retention_get(p_me text) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	return query select retention_json();
end $$;

-- PATCH /v1/admin/retention, postern retention SECONDS: for all chats of which nothing else is said. Under the log lock, so that a
-- chat is made before or after it.
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
			insert into meta values ('retention', p_seconds::text) on conflict (key) do update set value = excluded.value;
		end if;
		insert into meta values ('retention_from', '0') on conflict (key) do update set value = excluded.value;
		perform admin_audit_add(coalesce(p_me, 'server'), 'retention_changed', null,
			jsonb_build_object('retention', p_seconds, 'was', coalesce(v_was, 0)));
	end if;
	return query select retention_json();
end $$;

-- PATCH /v1/admin/chats/C, postern retention --chat: for one chat, whatever holds for all; 0: as for all. Null leaves as it is.
create function admin_chat_patch(p_me text, p_chat bigint, p_retention int) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_old chat;
	v_line text;
	v_said record;
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
	v_line := retention_put(p_chat, coalesce(nullif(p_retention, 0), retention_for_all()), v.at, v.head + 1);
	perform audit_add(p_chat, v.at, coalesce(p_me, 'server'), 'retention_changed', null, jsonb_build_object('retention', p_retention));
	perform admin_audit_add(coalesce(p_me, 'server'), 'retention_changed', null,
		jsonb_build_object('chat', p_chat, 'retention', p_retention, 'was', coalesce(v_old.retention_own, 0)));
	v_said := system_messages(p_chat, v.head + 2, v.at, coalesce(p_me, 'server'), (select jsonb_build_object('code', 'retention_changed',
		'retention', coalesce(c.retention, 0)) from chat c where c.id = p_chat and c.retention is distinct from v_old.retention));
	perform log_append(v.head + 1, v_said.upto, v.at, v_line || v_said.lines);
	return query select v_said.upto, admin_chat_json(c)::text from chat c where c.id = p_chat;
end $$;

-- ---- by the follower ----

-- For how many seconds what is due has been; null: nothing is.
create function retention_behind() returns bigint
language sql stable as $$
	select nullif(floor(greatest(extract(epoch from clock_timestamp() - least(
		(select d.due_at from retention_due d order by d.due_at limit 1),
		(select d.behind_since from retention_due d where d.behind_since is not null order by d.behind_since limit 1))), 0))::bigint, 0)
$$;

-- Puts what holds for all on the next p_chunk chats. Takes the log lock. told: to how many members at most.
create function retention_apply(p_chunk int, out told bigint)
language plpgsql as $$
declare
	v record := log_begin();
	v_from bigint := (select m.value::bigint from meta m where m.key = 'retention_from');
	v_all int := retention_for_all();
	v_seen int := 0;
	v_pos bigint := v.head;
	v_lines text := '';
	v_chat record;
begin
	told := 0;
	for v_chat in select c.id, c.state, c.members_count, c.retention, coalesce(c.retention_own, v_all) as retention_now from chat c
			where c.id > v_from order by c.id limit p_chunk loop
		v_seen := v_seen + 1;
		v_from := v_chat.id;
		if v_chat.state = 'active' and v_chat.retention is distinct from v_chat.retention_now then
			v_pos := v_pos + 1;
			told := told + v_chat.members_count;
			v_lines := v_lines || retention_put(v_chat.id, v_chat.retention_now, v.at, v_pos);
		end if;
	end loop;
	if v_seen < p_chunk then
		delete from meta where key = 'retention_from';
	else
		update meta set value = v_from::text where key = 'retention_from';
	end if;
	if v_pos > v.head then
		perform log_append(v.head + 1, v_pos, v.at, v_lines);
	end if;
end $$;

-- Removes up to p_chunk messages of the chats that are due, the longest due first; of which more is left, that goes behind the
-- others. A chat is looked at again when its next message is due, but not sooner than after a sixtieth of its retention, at most
-- an hour, so that messages go in batches. Takes the log lock. removed: how many are gone; told: to how many members at most that is
-- told, each message counted.
create function retention_remove(p_chunk int, out removed int, out told bigint)
language plpgsql as $$
declare
	v record := log_begin();
	v_lines text := '';
	v_due record;
	v_message message;
	v_gone bigint;
	v_next timestamptz;
begin
	removed := 0;
	told := 0;
	for v_due in select d.*, c.retention * interval '1 s' as retention, c.state, c.members_count
			from retention_due d join chat c on c.id = d.chat_id where d.due_at <= v.at order by d.due_at limit 50 loop
		if v_due.state = 'deleted' then
			delete from retention_due d where d.chat_id = v_due.chat_id;
			continue;
		end if;
		v_gone := v_due.gone;
		for v_message in select x.* from message x where x.chat_id = v_due.chat_id and x.id > v_due.gone
				order by x.id limit p_chunk - removed loop
			exit when v_message.at > v.at - v_due.retention; -- those behind it are younger
			removed := removed + 1;
			told := told + v_due.members_count;
			v_gone := v_message.id;
			v_lines := v_lines || message_remove(v_message, v.head + removed);
		end loop;
		delete from report r where r.chat_id = v_due.chat_id and r.resolved_at is not null
			and (r.message ->> 'at')::timestamptz <= v.at - v_due.retention;
		select m.at + v_due.retention into v_next from message m where m.chat_id = v_due.chat_id and m.id > v_gone order by m.id limit 1;
		update retention_due d set gone = v_gone, behind_since = case when v_next <= v.at then coalesce(d.behind_since, d.due_at) end,
				due_at = case when v_next <= v.at then v.at
					else greatest(coalesce(v_next, v.at + v_due.retention), v.at + least(v_due.retention / 60, interval '1 hour')) end
			where d.chat_id = v_due.chat_id;
		exit when removed = p_chunk;
	end loop;
	if removed > 0 then
		perform log_append(v.head + 1, v.head + removed, v.at, v_lines);
	end if;
end $$;

-- A step of what retention asks for; one node at a time takes it, which is what the lock is for: it isn't waited for. Takes the
-- log lock only when there is something to do. Gives how many messages were removed, whether there is more to do now,
-- retention_behind(), and how much there is to tell. Caller: retention.c.
create function retention_step(p_chunk int, out removed int, out more boolean, out behind bigint, out told bigint)
language plpgsql as $$
begin
	removed := 0;
	told := 0;
	more := false;
	if pg_try_advisory_xact_lock(5788050871298354037) then
		if exists (select from meta where key = 'retention_from') then
			told := retention_apply(p_chunk);
			more := true;
		elsif exists (select from retention_due d where d.due_at <= statement_timestamp()) then
			select r.removed, r.told into removed, told from retention_remove(p_chunk) r;
			more := exists (select from retention_due d where d.due_at <= clock_timestamp());
		end if;
	end if;
	behind := coalesce(retention_behind(), 0);
end $$;
