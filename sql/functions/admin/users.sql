-- SPDX-License-Identifier: MIT
-- What administrators of the server do over HTTP, and the trail that it leaves.

-- Refuses (403) whoever is no administrator. Read here and not taken from the worker, which may remember an older state.
create function require_admin(p_me text) returns void
language plpgsql as $$
begin
	if not exists (select from account a where a.name = p_me and a.admin and a.state = 'active') then
		perform refuse(403, 'forbidden', 'That is for administrators.');
	end if;
end $$;

-- The same of a function that a command calls too: null is whoever holds the database.
create function require_admin_or_shell(p_me text) returns void
language plpgsql as $$
begin
	if p_me is not null then
		perform require_admin(p_me);
	end if;
end $$;

create function admin_audit_add(p_actor text, p_act text, p_target text, p_details jsonb default null) returns void
language sql as $$
	insert into admin_audit (actor, act, target, details) values (p_actor, p_act, p_target, p_details)
$$;

create function admin_user_json(a account) returns jsonb
language sql stable as $$
	select me_json(a) || jsonb_build_object('created_at', stamp(a.created_at), 'has_password', a.password_hash is not null)
$$;

-- GET /v1/admin/users: whatever their state. The cursor is the last name seen.
create function admin_users(p_me text, p_cursor text, p_limit int) returns table (body text)
language plpgsql as $$
begin
	perform require_admin(p_me);
	return query with page as (
			select a from account a where p_cursor is null or a.name > p_cursor order by a.name limit p_limit + 1
		), kept as (select a from page order by (a).name limit p_limit)
		select jsonb_strip_nulls(jsonb_build_object('users', coalesce(jsonb_agg(admin_user_json(a) order by (a).name), '[]'),
			'next', case when (select count(*) from page) > p_limit then max((a).name) end))::text from kept;
end $$;

-- POST /v1/admin/users, postern user add. Without a password nobody signs in, until it is reset.
create function admin_user_add(p_me text, p_name text, p_password_hash text, p_admin boolean) returns table (pos bigint, body text)
language plpgsql as $$
begin
	perform log_begin();
	perform require_admin_or_shell(p_me);
	perform user_add(p_name, p_password_hash, p_admin);
	perform admin_audit_add(coalesce(p_me, 'server'), 'user_created', p_name, jsonb_build_object('admin', coalesce(p_admin, false)));
	return query select a.rev, admin_user_json(a)::text from account a where a.name = p_name;
end $$;

-- POST /v1/admin/users/NAME/disable and …/enable, postern user disable and enable.
create function admin_user_set_state(p_me text, p_name text, p_state text) returns table (pos bigint, body text)
language plpgsql as $$
begin
	perform log_begin();
	perform require_admin_or_shell(p_me);
	if p_name = p_me then
		perform refuse(403, 'forbidden', 'Another administrator must do that.');
	end if;
	perform user_set_state(p_name, p_state);
	perform admin_audit_add(coalesce(p_me, 'server'), case p_state when 'active' then 'user_enabled' else 'user_disabled' end, p_name);
	return query select a.rev, admin_user_json(a)::text from account a where a.name = p_name;
end $$;

-- POST /v1/admin/users/NAME/promote and …/demote, postern user promote and demote.
create function admin_user_set_admin(p_me text, p_name text, p_admin boolean) returns table (body text)
language plpgsql as $$
begin
	perform log_begin(); -- of two who demote each other one is left
	perform require_admin_or_shell(p_me);
	if p_name = p_me then
		perform refuse(403, 'forbidden', 'Another administrator must do that.');
	end if;
	perform user_set_admin(p_name, p_admin);
	perform admin_audit_add(coalesce(p_me, 'server'), case when p_admin then 'user_promoted' else 'user_demoted' end, p_name);
	return query select admin_user_json(a)::text from account a where a.name = p_name;
end $$;

-- POST /v1/admin/users/NAME/reset, postern user reset-link
create function admin_user_reset(p_me text, p_name text, p_hash text) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	return query select r.body from password_reset_add(p_name, p_hash) r;
	perform admin_audit_add(coalesce(p_me, 'server'), 'password_reset_link', p_name);
end $$;

-- postern user passwd
create function admin_user_passwd(p_me text, p_name text, p_password_hash text) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	return query select u.body from user_passwd(p_name, p_password_hash) u;
	perform admin_audit_add(coalesce(p_me, 'server'), 'password_set', p_name);
end $$;

-- postern token
create function admin_token_add(p_me text, p_name text, p_hash text, p_label text, p_expires_at timestamptz) returns table (body text)
language plpgsql as $$
declare
	v_body text;
begin
	perform require_admin_or_shell(p_me);
	select t.body into v_body from token_add(p_name, p_hash, p_label, p_expires_at) t;
	perform admin_audit_add(coalesce(p_me, 'server'), 'token_created', p_name, v_body::jsonb - 'kind' - 'created_at');
	return query select v_body;
end $$;

create function registration_invite_json(i registration_invite) returns jsonb
language sql stable as $$
	select jsonb_build_object('id', i.id, 'uses', i.uses, 'created_by', i.created_by, 'created_at', stamp(i.created_at),
		'expires_at', stamp(i.expires_at))
$$;

-- POST /v1/admin/invites
create function admin_invite_add(p_me text, p_hash text, p_uses int, p_expires_at timestamptz) returns table (body text)
language plpgsql as $$
declare
	v_invite registration_invite;
begin
	perform require_admin(p_me);
	if p_expires_at <= clock_timestamp() then
		perform refuse(422, 'out_of_range', 'expires_at lies in the past.');
	end if;
	insert into registration_invite (hash, uses, created_by, expires_at)
		values (p_hash, coalesce(p_uses, 1), p_me, coalesce(p_expires_at, clock_timestamp() + interval '7 days')) returning * into v_invite;
	perform admin_audit_add(p_me, 'invite_created', null, jsonb_build_object('id', v_invite.id, 'uses', v_invite.uses));
	return query select registration_invite_json(v_invite)::text;
end $$;

-- GET /v1/admin/invites: those that are still good.
create function admin_invites(p_me text) returns table (body text)
language plpgsql as $$
begin
	perform require_admin(p_me);
	return query select jsonb_build_object('invites', coalesce(jsonb_agg(registration_invite_json(i) order by i.id), '[]'))::text
		from registration_invite i where i.uses > 0 and i.expires_at > clock_timestamp();
end $$;

-- DELETE /v1/admin/invites/ID
create function admin_invite_delete(p_me text, p_id bigint) returns table (body text)
language plpgsql as $$
begin
	perform require_admin(p_me);
	delete from registration_invite i where i.id = p_id;
	if not found then
		perform refuse_absent();
	end if;
	perform admin_audit_add(p_me, 'invite_revoked', null, jsonb_build_object('id', p_id));
	return query select null::text;
end $$;

-- GET /v1/admin/audit, postern audit: the latest first. The cursor is the last id seen.
create function admin_audit_list(p_me text, p_cursor bigint, p_limit int) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	return query with page as (
			select x from admin_audit x where p_cursor is null or x.id < p_cursor order by x.id desc limit p_limit + 1
		), kept as (select x from page order by (x).id desc limit p_limit)
		select jsonb_strip_nulls(jsonb_build_object('acts', coalesce(jsonb_agg(jsonb_build_object('id', (x).id, 'at', stamp((x).at),
				'actor', (x).actor, 'act', (x).act, 'target', (x).target, 'details', (x).details) order by (x).id desc), '[]'),
			'next', case when (select count(*) from page) > p_limit then min((x).id)::text end))::text from kept;
end $$;
