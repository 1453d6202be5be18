-- SPDX-License-Identifier: MIT
-- Accounts: the functions that create and change them.

-- Tells every worker that its cache of this account, or of one of its credentials, is stale: NOTIFY
-- postern_control (doc/protocols.md, "Control notification").
-- Callers: the functions that change an account, its password or its credentials.
create function account_changed(p_name text, p_credential bigint default null) returns void
language sql as $$
	select pg_notify(
		'postern_control',
		case
			when p_credential is null then 'account ' || p_name
			else 'credential ' || p_name || ' ' || p_credential
		end
	)
$$;

-- Creates an account.
-- Callers: serve/demo.c, account_register(), admin_user_add(), jwt_authenticate().
-- Locks: the log lock.
-- Errors: 409 name_taken; 422 bad_name.
create function user_add(p_name text, p_password_hash text, p_admin boolean) returns table (body text)
language plpgsql as $$
declare
	v record;
	v_account account;
begin
	if p_name !~ '^[a-z0-9][a-z0-9_.-]{1,31}$' then
		perform refuse(
			'bad_name',
			'A name is 2 to 32 of a-z, 0-9, "_", "." and "-", and begins with a letter or a digit.'
		);
	end if;
	v := log_begin();
	if exists (select from account where name = p_name) then
		perform refuse('name_taken', format('There is a user %s already.', p_name));
	end if;
	insert into account (name, admin, password_hash, created_at, rev)
	values (p_name, coalesce(p_admin, false), p_password_hash, v.at, v.head + 1)
	returning * into v_account;
	perform log_append(v.head + 1, v.head + 1, v.at, account_line(v_account));
	return query select account_json(v_account)::text;
end $$;

-- Lists all accounts by name.
-- Callers: postern user list (cli/user.c), serve/demo.c.
create function user_list()
returns table (name text, display_name text, state text, admin boolean, created_at timestamptz)
language sql stable as $$
	select a.name, a.display_name, a.state, a.admin, a.created_at from account a order by a.name
$$;

-- Sets a password. All sessions of the account end.
--   p_end_tokens  its tokens and JWTs end too
-- Callers: admin_user_passwd(), password_reset_redeem().
-- Errors: 404 not_found.
create function user_passwd(p_name text, p_password_hash text, p_end_tokens boolean) returns table (body text)
language plpgsql as $$
begin
	update account a set password_hash = p_password_hash where a.name = p_name and a.state <> 'deleted';
	if not found then
		perform refuse('not_found', format('There is no user %s.', p_name));
	end if;
	delete from password_reset r where r.name = p_name;
	perform credentials_end(p_name, null, p_end_tokens);
	return query select account_json(a)::text from account a where a.name = p_name;
end $$;

-- Disables or enables an account. Disabling revokes what gives access to it, so that enabling doesn't. Workers
-- hear of it before the event, so that the user's streams end first.
-- Caller: admin_user_set_state().
-- Locks: the log lock.
-- Errors: 404 not_found.
create function user_set_state(p_name text, p_state text) returns table (body text)
language plpgsql as $$
declare
	v record;
	v_account account;
begin
	v := log_begin();
	update account a
	set state = p_state, rev = v.head + 1
	where a.name = p_name and a.state <> 'deleted'
	returning * into v_account;
	if not found then
		perform refuse('not_found', format('There is no user %s.', p_name));
	end if;
	if p_state <> 'active' then
		delete from password_reset r where r.name = p_name;
		perform credentials_end(p_name, null, true);
	else
		perform account_changed(p_name);
	end if;
	perform presence_hide(p_name);
	perform log_append(v.head + 1, v.head + 1, v.at, account_line(v_account));
	return query select account_json(v_account)::text;
end $$;

-- Makes a user an administrator, or takes that back. There is no event, because other users don't see who is
-- an administrator. The user's streams start anew.
-- Caller: admin_user_set_admin().
-- Errors: 404 not_found.
create function user_set_admin(p_name text, p_admin boolean) returns table (body text)
language plpgsql as $$
begin
	update account a set admin = p_admin where a.name = p_name and a.state <> 'deleted';
	if not found then
		perform refuse('not_found', format('There is no user %s.', p_name));
	end if;
	perform account_changed(p_name);
	return query select account_json(a)::text from account a where a.name = p_name;
end $$;
