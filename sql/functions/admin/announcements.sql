-- SPDX-License-Identifier: MIT
-- Announcements to everybody.

-- The JSON of an announcement.
-- Callers: announcement_add(), announcements_json().
create function announcement_json(a announcement) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object(
		'id', a.id,
		'text', a.text,
		'by', a.by,
		'at', stamp(a.at),
		'until', stamp(a.until)
	))
$$;

-- The announcements that are still valid, the latest first; at most 100.
-- Callers: announcements(), sync().
create function announcements_json() returns jsonb
language sql stable as $$
	select coalesce(jsonb_agg(announcement_json(a::announcement) order by a.id desc), '[]')
	from (
		select x.*
		from announcement x
		where x.until is null or x.until > clock_timestamp()
		order by x.id desc
		limit 100
	) a
$$;

-- Lists announcements.
-- Caller: GET /v1/announcements.
create function announcements() returns table (body text)
language sql stable as $$ select jsonb_build_object('announcements', announcements_json())::text $$;

-- Creates an announcement and publishes it to everyone who is connected.
-- Callers: POST /v1/admin/announcements, cli/notice.c.
-- Errors: 403 forbidden; 422 out_of_range.
create function announcement_add(p_me text, p_text text, p_until timestamptz)
returns table (status int, body text)
language plpgsql as $$
declare
	v_row announcement;
begin
	perform require_admin_or_shell(p_me);
	if p_until <= clock_timestamp() then
		perform refuse('out_of_range', 'until lies in the past.');
	end if;
	insert into announcement (text, by, until)
	values (p_text, coalesce(p_me, 'server'), p_until)
	returning * into v_row;
	perform live_append(live_line('announcement', null, '*', null, announcement_json(v_row)::text));
	perform admin_audit_add(
		coalesce(p_me, 'server'), 'announced', null, jsonb_build_object('id', v_row.id)
	);
	return query select 201, announcement_json(v_row)::text;
end $$;

-- Deletes an announcement. Clients that show it receive an event.
-- Caller: DELETE /v1/admin/announcements/{id}.
-- Errors: 403 forbidden; 404 not_found.
create function announcement_delete(p_me text, p_id bigint) returns table (body text)
language plpgsql as $$
begin
	perform require_admin(p_me);
	delete from announcement a where a.id = p_id;
	if not found then
		perform refuse_absent();
	end if;
	perform live_append(live_line(
		'announcement', null, '*', null, jsonb_build_object('id', p_id, 'state', 'deleted')::text
	));
	perform admin_audit_add(p_me, 'announcement_deleted', null, jsonb_build_object('id', p_id));
	return query select null::text;
end $$;
