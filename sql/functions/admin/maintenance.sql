-- SPDX-License-Identifier: MIT
-- Maintenance: while it lasts, only administrators may write.

-- The text of the present maintenance; null if there is none.
-- Callers: api/api.c, maintenance_get().
create function maintenance() returns text
language sql stable as $$ select value from meta where key = 'maintenance' $$;

-- Returns the state of the maintenance.
-- Caller: GET /v1/admin/maintenance.
-- Errors: 403 forbidden.
create function maintenance_get(p_me text) returns table (body text)
language plpgsql stable as $$
begin
	perform require_admin(p_me);
	return query
		select jsonb_strip_nulls(jsonb_build_object(
			'on', maintenance() is not null,
			'text', maintenance()
		))::text;
end $$;

-- Starts maintenance with p_text, or ends it (null). Workers hear of it by NOTIFY postern_control.
-- Callers: PUT /v1/admin/maintenance, DELETE /v1/admin/maintenance, cli/notice.c.
-- Errors: 403 forbidden.
create function maintenance_set(p_me text, p_text text) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	if p_text is null then
		delete from meta where key = 'maintenance';
	else
		insert into meta
		values ('maintenance', p_text)
		on conflict (key) do update set value = excluded.value;
	end if;
	perform pg_notify('postern_control', 'settings');
	perform admin_audit_add(
		coalesce(p_me, 'server'),
		case when p_text is null then 'maintenance_ended' else 'maintenance_started' end, null,
		jsonb_strip_nulls(jsonb_build_object('text', p_text))
	);
	return query
		select jsonb_strip_nulls(jsonb_build_object(
			'on', p_text is not null,
			'text', p_text
		))::text;
end $$;
