-- SPDX-License-Identifier: MIT
-- What administrators say to everybody, maintenance, all chats.

-- ---- announcements ----

create function announcement_json(a announcement) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object('id', a.id, 'text', a.text, 'by', a.by, 'at', stamp(a.at), 'until', stamp(a.until)))
$$;

-- Those that still hold, the latest first, a hundred of them at most.
create function announcements_json() returns jsonb
language sql stable as $$
	select coalesce(jsonb_agg(announcement_json(a::announcement) order by a.id desc), '[]') from (
		select x.* from announcement x where x.until is null or x.until > clock_timestamp() order by x.id desc limit 100) a
$$;

-- GET /v1/announcements
create function announcements() returns table (body text)
language sql stable as $$ select jsonb_build_object('announcements', announcements_json())::text $$;

-- POST /v1/admin/announcements, postern announce: kept until it is deleted or has run out, and told at once to whoever is connected.
create function announcement_add(p_me text, p_text text, p_until timestamptz) returns table (status int, body text)
language plpgsql as $$
declare
	v_row announcement;
begin
	perform require_admin_or_shell(p_me);
	if p_until <= clock_timestamp() then
		perform refuse(422, 'out_of_range', 'until lies in the past.');
	end if;
	insert into announcement (text, by, until) values (p_text, coalesce(p_me, 'server'), p_until) returning * into v_row;
	perform live_append(live_line('announcement', null, '*', null, announcement_json(v_row)::text));
	perform admin_audit_add(coalesce(p_me, 'server'), 'announced', null, jsonb_build_object('id', v_row.id));
	return query select 201, announcement_json(v_row)::text;
end $$;

-- DELETE /v1/admin/announcements/ID: whoever shows it is told that it is gone.
create function announcement_delete(p_me text, p_id bigint) returns table (body text)
language plpgsql as $$
begin
	perform require_admin(p_me);
	delete from announcement a where a.id = p_id;
	if not found then
		perform refuse_absent();
	end if;
	perform live_append(live_line('announcement', null, '*', null, jsonb_build_object('id', p_id, 'state', 'deleted')::text));
	perform admin_audit_add(p_me, 'announcement_deleted', null, jsonb_build_object('id', p_id));
	return query select null::text;
end $$;

-- ---- maintenance ----

-- What is said of the maintenance under way; null: there is none.
create function maintenance() returns text
language sql stable as $$ select value from meta where key = 'maintenance' $$;

-- GET /v1/admin/maintenance
create function maintenance_get(p_me text) returns table (body text)
language plpgsql stable as $$
begin
	perform require_admin(p_me);
	return query select jsonb_strip_nulls(jsonb_build_object('on', maintenance() is not null, 'text', maintenance()))::text;
end $$;

-- PUT and DELETE /v1/admin/maintenance, postern maintenance: from here on nobody but administrators writes, until it is over (p_text null).
create function maintenance_set(p_me text, p_text text) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	if p_text is null then
		delete from meta where key = 'maintenance';
	else
		insert into meta values ('maintenance', p_text) on conflict (key) do update set value = excluded.value;
	end if;
	perform pg_notify('postern_control', 'settings');
	perform admin_audit_add(coalesce(p_me, 'server'), case when p_text is null then 'maintenance_ended' else 'maintenance_started' end, null,
		jsonb_strip_nulls(jsonb_build_object('text', p_text)));
	return query select jsonb_strip_nulls(jsonb_build_object('on', p_text is not null, 'text', p_text))::text;
end $$;

-- ---- chats ----

-- GET /v1/admin/chats, postern chat list: all of them that aren't deleted, by number; no message of theirs. The cursor is the last
-- number seen.
create function admin_chats(p_me text, p_cursor bigint, p_limit int) returns table (body text)
language plpgsql stable as $$
begin
	perform require_admin_or_shell(p_me);
	return query
		with page as (
			select c from chat c where c.state = 'active' and c.id > coalesce(p_cursor, 0) order by c.id limit p_limit + 1
		), kept as (select c from page order by (c).id limit p_limit)
		select '{"chats":[' || coalesce(string_agg(admin_chat_json(c)::text, ',' order by (c).id), '') || ']'
			|| case when (select count(*) from page) > p_limit then ',"next":"' || max((c).id) || '"' else '' end || '}' from kept;
end $$;

-- DELETE /v1/admin/chats/C, postern chat delete: as its owner would; a direct chat too, of which the two may begin another one.
create function admin_chat_delete(p_me text, p_chat bigint) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_row chat;
begin
	v := log_begin();
	perform require_admin_or_shell(p_me);
	v_row := chat_bury(p_chat, v.head + 1);
	if v_row.id is null then
		perform refuse_absent();
	end if;
	perform admin_audit_add(coalesce(p_me, 'server'), 'chat_deleted', null, jsonb_build_object('chat', p_chat));
	perform log_append(v.head + 1, v.head + 1, v.at, chat_line(v_row));
	return query select v_row.rev, null::text;
end $$;
