-- SPDX-License-Identifier: MIT
-- Accounts and what proves who someone is. Hashes only: the plain token never reaches the database.

-- Tells every worker that what it remembers of this account, or of one of his credentials, is no longer true.
create function account_changed(p_name text, p_credential bigint default null) returns void
language sql as $$
	select pg_notify('postern_control', case when p_credential is null then 'account ' || p_name
		else 'credential ' || p_name || ' ' || p_credential end)
$$;

-- Callers: admin_user_add(), account_register(), jwt_authenticate(), demo.c. Refuses a bad name (422) and one that is taken (409).
create function user_add(p_name text, p_password_hash text, p_admin boolean) returns table (body text)
language plpgsql as $$
declare
	v record;
	v_account account;
begin
	if p_name !~ '^[a-z0-9][a-z0-9_.-]{1,31}$' then
		perform refuse(422, 'bad_name', 'A name is 2 to 32 of a-z, 0-9, "_", "." and "-", and begins with a letter or a digit.');
	end if;
	v := log_begin();
	if exists (select from account where name = p_name) then
		perform refuse(409, 'name_taken', format('There is a user %s already.', p_name));
	end if;
	insert into account (name, admin, password_hash, created_at, rev)
		values (p_name, coalesce(p_admin, false), p_password_hash, v.at, v.head + 1) returning * into v_account;
	perform log_append(v.head + 1, v.head + 1, v.at, account_line(v_account));
	return query select account_json(v_account)::text;
end $$;

-- Caller: postern user list.
create function user_list() returns table (name text, display_name text, state text, admin boolean, created_at timestamptz)
language sql stable as $$
	select a.name, a.display_name, a.state, a.admin, a.created_at from account a order by a.name
$$;

-- Callers: admin_user_passwd(), password_reset_redeem(). A new password ends every session; tokens stay.
create function user_passwd(p_name text, p_password_hash text) returns table (body text)
language plpgsql as $$
begin
	update account a set password_hash = p_password_hash where a.name = p_name and a.state <> 'deleted';
	if not found then
		perform refuse(404, 'not_found', format('There is no user %s.', p_name));
	end if;
	delete from credential c where c.name = p_name and c.kind = 'session';
	delete from password_reset r where r.name = p_name;
	perform account_changed(p_name);
	return query select account_json(a)::text from account a where a.name = p_name;
end $$;

-- Caller: admin_user_set_state().
create function user_set_state(p_name text, p_state text) returns table (body text)
language plpgsql as $$
declare
	v record;
	v_account account;
begin
	v := log_begin();
	update account a set state = p_state, rev = v.head + 1 where a.name = p_name and a.state <> 'deleted' returning * into v_account;
	if not found then
		perform refuse(404, 'not_found', format('There is no user %s.', p_name));
	end if;
	perform account_changed(p_name); -- first: his streams end before they would tell him
	perform presence_hide(p_name);
	perform log_append(v.head + 1, v.head + 1, v.at, account_line(v_account));
	return query select account_json(v_account)::text;
end $$;

-- Caller: admin_user_set_admin(). No event: others don't see who is one. His streams begin anew.
create function user_set_admin(p_name text, p_admin boolean) returns table (body text)
language plpgsql as $$
begin
	update account a set admin = p_admin where a.name = p_name and a.state <> 'deleted';
	if not found then
		perform refuse(404, 'not_found', format('There is no user %s.', p_name));
	end if;
	perform account_changed(p_name);
	return query select account_json(a)::text from account a where a.name = p_name;
end $$;

create function credential_json(c credential) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object('id', c.id, 'kind', c.kind, 'label', c.label,
		'created_at', stamp(c.created_at), 'expires_at', stamp(c.expires_at),
		'last_used_at', stamp(c.last_used_at), 'last_address', c.last_address, 'user_agent', c.user_agent))
$$;

-- How many tokens, and how many sessions, somebody has at most.
create function credentials_max() returns int
language sql immutable as $$ select 100 $$;

-- Callers: admin_token_add(), POST /v1/tokens. p_credential: what it is made with (null: by a command). Unless that is a session, which took a
-- password, the token doesn't outlive it: else a JWT of ten minutes, or a token made with one, would be good for ever.
create function token_add(p_name text, p_hash text, p_label text, p_expires_at timestamptz, p_credential bigint default null)
	returns table (body text)
language plpgsql as $$
declare
	v_credential credential;
begin
	perform from account a where a.name = p_name and a.state = 'active' for share; -- as in session_add()
	if not found then
		perform refuse(404, 'not_found', format('There is no active user %s.', p_name));
	end if;
	if p_expires_at <= clock_timestamp() then
		perform refuse(422, 'out_of_range', 'expires_at lies in the past.');
	end if;
	if (select count(*) from credential c where c.name = p_name and c.kind = 'token' and (c.expires_at is null or c.expires_at > clock_timestamp()))
			>= credentials_max() then
		perform refuse(422, 'too_many_tokens', format('A user has at most %s tokens: delete one.', credentials_max()));
	end if;
	insert into credential (hash, name, kind, label, expires_at) values (p_hash, p_name, 'token', p_label,
			least(p_expires_at, (select c.expires_at from credential c where c.id = p_credential and c.kind <> 'session')))
		returning * into v_credential;
	return query select credential_json(v_credential)::text;
end $$;

-- GET /v1/tokens: tokens and sessions of the caller, and which of them he came with.
create function token_list(p_me text, p_credential bigint) returns table (body text)
language sql stable as $$
	select jsonb_build_object('tokens', coalesce(jsonb_agg(credential_json(c)
			|| case when c.id = p_credential then '{"current": true}'::jsonb else '{}' end order by c.id), '[]'))::text
		from credential c where c.name = p_me and (c.expires_at is null or c.expires_at > clock_timestamp()) and not c.revoked
$$;

-- DELETE /v1/tokens/ID and DELETE /v1/session: the streams that hang on it end.
create function credential_delete(p_me text, p_id bigint) returns table (body text)
language plpgsql as $$
begin
	update credential c set revoked = true where c.id = p_id and c.name = p_me and c.kind = 'jwt' and not c.revoked;
	if not found then
		delete from credential c where c.id = p_id and c.name = p_me and c.kind <> 'jwt';
		if not found then
			perform refuse_absent();
		end if;
	end if;
	perform account_changed(p_me, p_id);
	return query select null::text;
end $$;

-- Whose token this is: a row, or none when it is unknown, has expired or belongs to a disabled account.
create function authenticate(p_hash text) returns table (id bigint, name text, admin boolean, kind text, expires_ms bigint)
language sql stable rows 1 as $$
	select c.id, a.name, a.admin, c.kind, (extract(epoch from c.expires_at) * 1000)::bigint
		from credential c join account a on a.name = c.name
		where c.hash = p_hash and a.state = 'active' and (c.expires_at is null or c.expires_at > clock_timestamp()) and not c.revoked
$$;

-- Which of these credentials are no longer good. Caller: a worker that may have missed word of a revocation.
create function revoked(p_ids bigint[]) returns table (id bigint)
language sql stable as $$
	select i from unnest(p_ids) i where not exists (select from credential c join account a on a.name = c.name
		where c.id = i and a.state = 'active' and (c.expires_at is null or c.expires_at > clock_timestamp()) and not c.revoked)
$$;

-- POST /v1/session, first half: the hash that the password is held against off the loop. No row: no such user.
create function password_of(p_name text) returns table (password_hash text)
language sql stable rows 1 as $$
	select a.password_hash from account a where a.name = p_name and a.state = 'active' and a.password_hash is not null
$$;

-- POST /v1/session, second half. p_password_hash must still be the account's: a change in between wins.
create function session_add(p_name text, p_password_hash text, p_hash text, p_expires_at timestamptz) returns table (body text)
language plpgsql as $$
declare
	v_account account;
	v_id bigint;
begin
	-- Locked: a password or a state that changes meanwhile would end the other sessions, but not the one that isn't there yet.
	select * into v_account from account a where a.name = p_name and a.state = 'active' and a.password_hash = p_password_hash for share;
	if not found then
		perform refuse(401, 'bad_credentials', 'Unknown name or wrong password.');
	end if;
	insert into credential (hash, name, kind, expires_at) values (p_hash, p_name, 'session', p_expires_at);
	for v_id in delete from credential c where c.id = any (array(select x.id from credential x where x.name = p_name and x.kind = 'session'
			order by x.id desc offset credentials_max())) returning c.id loop -- the oldest make room
		perform account_changed(p_name, v_id);
	end loop;
	return query select jsonb_build_object('expires_at', stamp(p_expires_at), 'user', account_json(v_account))::text;
end $$;

-- POST /v1/stream-tickets
create function ticket_add(p_credential bigint, p_hash text) returns table (body text)
language sql as $$
	insert into ticket values (p_hash, p_credential, clock_timestamp() + interval '60 s')
		returning jsonb_build_object('expires_at', stamp(expires_at))::text
$$;

-- Redeems a ticket: like authenticate(), and the ticket is spent.
create function ticket_redeem(p_hash text) returns table (id bigint, name text, admin boolean, kind text, expires_ms bigint)
language sql rows 1 as $$
	with spent as (delete from ticket t where t.hash = p_hash returning *)
	select c.id, a.name, a.admin, c.kind, (extract(epoch from c.expires_at) * 1000)::bigint
		from spent t join credential c on c.id = t.credential_id join account a on a.name = c.name
		where t.expires_at > clock_timestamp() and a.state = 'active' and (c.expires_at is null or c.expires_at > clock_timestamp()) and not c.revoked
$$;

create function me_json(a account) returns jsonb
language sql stable as $$ select account_json(a) || jsonb_build_object('admin', a.admin, 'presence', a.presence) $$;

-- GET /v1/me
create function me_get(p_me text) returns table (body text)
language sql stable as $$ select me_json(a)::text from account a where a.name = p_me $$;

-- PATCH /v1/me. Null leaves as it is, an empty text clears.
create function me_patch(p_me text, p_display_name text, p_presence text, p_about text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_account account;
begin
	if p_display_name <> '' and (p_display_name !~ '\S' or p_display_name ~ '[[:cntrl:]]') then
		perform refuse(422, 'out_of_range', 'A display name is one line with something to see.');
	end if;
	if num_nonnulls(p_display_name, p_about) > 0 then
		v := log_begin();
		update account a set display_name = case when p_display_name is null then display_name else nullif(p_display_name, '') end,
			about = case when p_about is null then about else nullif(p_about, '') end, rev = v.head + 1
			where a.name = p_me and a.state = 'active' returning * into v_account;
		if found then
			perform log_append(v.head + 1, v.head + 1, v.at, account_line(v_account));
		end if;
	end if;
	update account a set presence = coalesce(p_presence, a.presence) where a.name = p_me and a.state = 'active' returning * into v_account;
	if not found then -- he was shut out, or is gone, since he was let in
		perform refuse(401, 'unauthorized', 'The account is disabled or deleted.');
	end if;
	if p_presence is not null then -- no event: whom he lets see him is nobody's business. Who may no longer hears that he has gone, whoever may, how it is
		perform presence_hide(p_me);
		perform live_append(presence_line(p_me));
	end if;
	return query select a.rev, me_json(a)::text from account a where a.name = p_me;
end $$;

-- GET /v1/users: by the beginning of the name or of any word of the display name. The cursor is the last name seen.
create function users(p_q text, p_cursor text, p_limit int) returns table (body text)
language sql stable as $$
	with page as (
		select a from account a
			where a.state <> 'deleted' and (p_cursor is null or a.name > p_cursor)
				and (p_q is null or starts_with(a.name, lower(p_q)) or starts_with(lower(a.display_name), lower(p_q))
					or strpos(lower(a.display_name), ' ' || lower(p_q)) > 0)
			order by a.name limit p_limit + 1
	), kept as (select a from page order by (a).name limit p_limit)
	select jsonb_strip_nulls(jsonb_build_object('users', coalesce(jsonb_agg(account_json(a) order by (a).name), '[]'),
		'next', case when (select count(*) from page) > p_limit then max((a).name) end))::text from kept
$$;

-- GET /v1/users/NAME
create function user_get(p_name text) returns table (body text)
language plpgsql stable as $$
begin
	return query select account_json(a)::text from account a where a.name = p_name;
	if not found then
		perform refuse_absent();
	end if;
end $$;
