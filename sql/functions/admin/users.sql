-- SPDX-License-Identifier: MIT
-- Accounts, as administrators manage them. Each function checks the caller, calls the function that does it,
-- and adds an entry to the audit trail.

-- The JSON of an account as administrators see it.
-- Callers: admin_user_add(), admin_user_set_admin(), admin_user_set_state(), admin_users().
create function admin_user_json(a account) returns jsonb
language sql stable as $$
	select me_json(a)
		|| jsonb_build_object(
			'created_at', stamp(a.created_at),
			'has_password', a.password_hash is not null
		)
$$;

-- Lists accounts by name, in any state. The cursor is the last name of the page before.
-- Caller: GET /v1/admin/users.
-- Errors: 403 forbidden.
create function admin_users(p_me text, p_cursor text, p_limit int) returns table (body text)
language plpgsql as $$
begin
	perform require_admin(p_me);
	return query
		with page as (
			select a
			from account a
			where p_cursor is null or a.name > p_cursor
			order by a.name
			limit p_limit + 1
		), kept as (
			select a from page order by (a).name limit p_limit
		)
		select jsonb_strip_nulls(jsonb_build_object(
			'users', coalesce(jsonb_agg(admin_user_json(a) order by (a).name), '[]'),
			'next', case when (select count(*) from page) > p_limit then max((a).name) end
		))::text
		from kept;
end $$;

-- Creates an account. Without a password nobody can sign in until it is set.
-- Callers: POST /v1/admin/users (api/accounts.c), postern user add (cli/user.c).
-- Locks: the log lock.
-- Errors: 403 forbidden; 409 name_taken; 422 bad_name.
create function admin_user_add(p_me text, p_name text, p_password_hash text, p_admin boolean)
returns table (pos bigint, body text)
language plpgsql as $$
begin
	perform log_begin();
	perform require_admin_or_shell(p_me);
	perform user_add(p_name, p_password_hash, p_admin);
	perform admin_audit_add(
		coalesce(p_me, 'server'), 'user_created', p_name,
		jsonb_build_object('admin', coalesce(p_admin, false))
	);
	return query select a.rev, admin_user_json(a)::text from account a where a.name = p_name;
end $$;

-- Disables or enables an account.
-- Callers: POST /v1/admin/users/{name}/disable, POST /v1/admin/users/{name}/enable, cli/user.c.
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found.
create function admin_user_set_state(p_me text, p_name text, p_state text)
returns table (pos bigint, body text)
language plpgsql as $$
begin
	perform log_begin();
	perform require_admin_or_shell(p_me);
	if p_name = p_me then
		perform refuse('forbidden', 'Another administrator must do that.');
	end if;
	perform user_set_state(p_name, p_state);
	perform admin_audit_add(
		coalesce(p_me, 'server'),
		case p_state when 'active' then 'user_enabled' else 'user_disabled' end, p_name
	);
	return query select a.rev, admin_user_json(a)::text from account a where a.name = p_name;
end $$;

-- Makes a user an administrator, or takes that back. Under the log lock, so that of two administrators who
-- demote each other one is left.
-- Callers: POST /v1/admin/users/{name}/promote, POST /v1/admin/users/{name}/demote, cli/user.c.
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found.
create function admin_user_set_admin(p_me text, p_name text, p_admin boolean) returns table (body text)
language plpgsql as $$
begin
	perform log_begin();
	perform require_admin_or_shell(p_me);
	if p_name = p_me then
		perform refuse('forbidden', 'Another administrator must do that.');
	end if;
	perform user_set_admin(p_name, p_admin);
	perform admin_audit_add(
		coalesce(p_me, 'server'), case when p_admin then 'user_promoted' else 'user_demoted' end,
		p_name
	);
	return query select admin_user_json(a)::text from account a where a.name = p_name;
end $$;

-- Creates a link to reset a password.
-- Callers: POST /v1/admin/users/{name}/reset (api/accounts.c), postern user reset-link (cli/user.c).
-- Errors: 403 forbidden; 404 not_found.
create function admin_user_reset(p_me text, p_name text, p_hash text) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	return query select r.body from password_reset_add(p_name, p_hash) r;
	perform admin_audit_add(coalesce(p_me, 'server'), 'password_reset_link', p_name);
end $$;

-- Sets a password.
--   p_end_tokens  the account's tokens and JWTs end too
-- Callers: postern user passwd (cli/user.c).
-- Errors: 403 forbidden; 404 not_found.
create function admin_user_passwd(p_me text, p_name text, p_password_hash text, p_end_tokens boolean)
returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	return query select u.body from user_passwd(p_name, p_password_hash, p_end_tokens) u;
	perform admin_audit_add(coalesce(p_me, 'server'), 'password_set', p_name);
end $$;

-- Creates a token.
-- Callers: postern token (cli/token.c).
-- Errors: 403 forbidden; 404 not_found; 422 out_of_range, too_many_tokens.
create function admin_token_add(
	p_me text,
	p_name text,
	p_hash text,
	p_label text,
	p_expires_at timestamptz
) returns table (body text)
language plpgsql as $$
declare
	v_body text;
begin
	perform require_admin_or_shell(p_me);
	select t.body into v_body from token_add(p_name, p_hash, p_label, p_expires_at) t;
	perform admin_audit_add(
		coalesce(p_me, 'server'), 'token_created', p_name, v_body::jsonb - 'kind' - 'created_at'
	);
	return query select v_body;
end $$;
