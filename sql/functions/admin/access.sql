-- SPDX-License-Identifier: MIT
-- Who may administrate the server, and the record of what they did.

-- Refuses everyone but administrators. The role is read here, because the worker's cache may be stale.
-- Callers: the functions of the routes below /v1/admin.
-- Errors: 403 forbidden.
create function require_admin(p_me text) returns void
language plpgsql as $$
begin
	if not exists (select from account a where a.name = p_me and a.admin and a.state = 'active') then
		perform refuse('forbidden', 'That is for administrators.');
	end if;
end $$;

-- The same for a function that a command calls too. p_me is null for a command: whoever can connect to the
-- database may do everything.
-- Callers: the functions that a route below /v1/admin and a command share.
-- Errors: 403 forbidden.
create function require_admin_or_shell(p_me text) returns void
language plpgsql as $$
begin
	if p_me is not null then
		perform require_admin(p_me);
	end if;
end $$;

-- Adds an entry to the server's audit trail.
-- Callers: the functions of administrators that change something.
create function admin_audit_add(
	p_actor text,
	p_act text,
	p_target text,
	p_details jsonb default null
) returns void
language sql as $$
	insert into admin_audit (actor, act, target, details) values (p_actor, p_act, p_target, p_details)
$$;

-- Lists the server's audit trail, the latest entry first. The cursor is the last id of the page before.
-- Callers: GET /v1/admin/audit, cli/moderation.c.
-- Errors: 403 forbidden.
create function admin_audit_list(p_me text, p_cursor bigint, p_limit int) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	return query
		with page as (
			select x
			from admin_audit x
			where p_cursor is null or x.id < p_cursor
			order by x.id desc
			limit p_limit + 1
		), kept as (
			select x from page order by (x).id desc limit p_limit
		)
		select jsonb_strip_nulls(jsonb_build_object(
			'acts', coalesce(
				jsonb_agg(
					jsonb_build_object(
						'id', (x).id,
						'at', stamp((x).at),
						'actor', (x).actor,
						'act', (x).act,
						'target', (x).target,
						'details', (x).details
					)
					order by (x).id desc
				),
				'[]'
			),
			'next', case when (select count(*) from page) > p_limit then min((x).id)::text end
		))::text
		from kept;
end $$;
