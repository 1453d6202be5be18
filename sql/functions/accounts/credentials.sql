-- SPDX-License-Identifier: MIT
-- Credentials: tokens, sessions, stream tickets. The database holds hashes only, never a plain token or
-- password.

-- The JSON of a credential.
-- Callers: export_page(), token_add(), token_list().
create function credential_json(c credential) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object(
		'id', c.id,
		'kind', c.kind,
		'label', c.label,
		'created_at', stamp(c.created_at),
		'expires_at', stamp(c.expires_at),
		'last_used_at', stamp(c.last_used_at),
		'last_address', c.last_address,
		'user_agent', c.user_agent
	))
$$;

-- The most tokens of a user, and the most sessions.
-- Callers: session_add(), token_add().
create function credentials_max() returns int
language sql immutable as $$ select 100 $$;

-- Creates a token.
--   p_credential  the credential of the request that asks for it; null for a command. Unless that is a
--                 session, which took a password, the new token expires no later than it. Otherwise a JWT of
--                 ten minutes could make a token that never expires.
-- Callers: serve/demo.c, api/session.c, admin_token_add().
-- Locks: the account's row, for share.
-- Errors: 404 not_found; 422 out_of_range, too_many_tokens.
create function token_add(
	p_name text,
	p_hash text,
	p_label text,
	p_expires_at timestamptz,
	p_credential bigint default null
) returns table (body text)
language plpgsql as $$
declare
	v_credential credential;
begin
	perform from account a where a.name = p_name and a.state = 'active' for share; -- locked as in session_add()
	if not found then
		perform refuse('not_found', format('There is no active user %s.', p_name));
	end if;
	if p_expires_at <= clock_timestamp() then
		perform refuse('out_of_range', 'expires_at lies in the past.');
	end if;
	if (
		select count(*)
		from credential c
		where c.name = p_name
			and c.kind = 'token'
			and (c.expires_at is null or c.expires_at > clock_timestamp())
	) >= credentials_max() then
		perform refuse(
			'too_many_tokens',
			format('A user has at most %s tokens: delete one.', credentials_max())
		);
	end if;
	insert into credential (hash, name, kind, label, expires_at)
	values (
		p_hash, p_name, 'token', p_label,
		least(
			p_expires_at,
			(
				select c.expires_at
				from credential c
				where c.id = p_credential and c.kind <> 'session'
			)
		)
	)
	returning * into v_credential;
	return query select credential_json(v_credential)::text;
end $$;

-- Lists the caller's tokens and sessions, and marks the one of this request.
-- Caller: GET /v1/tokens.
create function token_list(p_me text, p_credential bigint) returns table (body text)
language sql stable as $$
	select jsonb_build_object(
		'tokens', coalesce(
			jsonb_agg(
				credential_json(c)
					|| case
						when c.id = p_credential then '{"current": true}'::jsonb
						else '{}'
					end
				order by c.id
			),
			'[]'
		)
	)::text
	from credential c
	where c.name = p_me and (c.expires_at is null or c.expires_at > clock_timestamp()) and not c.revoked
$$;

-- Revokes one of the caller's credentials. The streams that were opened with it end.
-- Callers: DELETE /v1/tokens/{id} and DELETE /v1/session (api/session.c).
-- Errors: 404 not_found.
create function credential_delete(p_me text, p_id bigint) returns table (body text)
language plpgsql as $$
begin
	update credential c
	set revoked = true
	where c.id = p_id and c.name = p_me and c.kind = 'jwt' and not c.revoked;
	if not found then
		delete from credential c where c.id = p_id and c.name = p_me and c.kind <> 'jwt';
		if not found then
			perform refuse_absent();
		end if;
	end if;
	perform account_changed(p_me, p_id);
	return query select null::text;
end $$;

-- Ends an account's sessions; with p_tokens its tokens and JWTs too, and JWTs that were issued before now won't
-- be accepted.
--   p_keep  the credential that stays; null: none
-- Callers: password_change(), user_passwd(), user_set_state().
-- Locks: the account's row, which callers have changed before: a concurrent session_add() or token_add() waits
--   for them, or was committed before this.
create function credentials_end(p_name text, p_keep bigint, p_tokens boolean) returns void
language plpgsql as $$
declare
	v_id bigint;
begin
	if p_tokens then
		update account a set jwts_from = clock_timestamp() where a.name = p_name;
	end if;
	if p_keep is null and p_tokens then
		perform account_changed(p_name);
	end if;
	for v_id in
		with removed as (
			delete from credential c
			where c.name = p_name
				and c.id is distinct from p_keep
				and (c.kind = 'session' or (c.kind = 'token' and p_tokens))
			returning c.id
		), revoked as (
			update credential c
			set revoked = true
			where c.name = p_name
				and c.id is distinct from p_keep
				and c.kind = 'jwt'
				and p_tokens
				and not c.revoked
			returning c.id
		)
		select r.id from removed r
		union all
		select r.id from revoked r
	loop
		if p_keep is not null or not p_tokens then
			perform account_changed(p_name, v_id);
		end if;
	end loop;
end $$;

-- Finds the user of a token by its hash. No row if the token is unknown, expired or revoked, or if the account
-- is not active.
-- Caller: api/auth.c.
create function authenticate(p_hash text)
returns table (id bigint, name text, admin boolean, kind text, expires_ms bigint)
language sql stable rows 1 as $$
	select c.id, a.name, a.admin, c.kind, (extract(epoch from c.expires_at) * 1000)::bigint
	from credential c
	join account a on a.name = c.name
	where c.hash = p_hash
		and a.state = 'active'
		and (c.expires_at is null or c.expires_at > clock_timestamp())
		and not c.revoked
$$;

-- Returns those of p_ids that are no longer valid. A worker calls it when it may have missed a control
-- notification.
-- Callers: api/auth.c, export_page().
create function revoked(p_ids bigint[]) returns table (id bigint)
language sql stable as $$
	select i
	from unnest(p_ids) i
	where not exists (
		select
		from credential c
		join account a on a.name = c.name
		where c.id = i
			and a.state = 'active'
			and (c.expires_at is null or c.expires_at > clock_timestamp())
			and not c.revoked
	)
$$;

-- First half of POST /v1/session: returns the hash to check the password against, and whether the user has a
-- credential that was last used from that network. No row if there is no such user or they have no password.
--   p_network  an IPv4 address, or an IPv6 address for its /64; null: nothing is asked
-- Callers: api/session.c, api/accounts.c.
create function password_of(p_name text, p_network text)
returns table (password_hash text, is_known_network boolean)
language sql stable rows 1 as $$
	select a.password_hash,
		exists (
			select
			from credential c
			where c.name = p_name
				and case
					when strpos(p_network, ':') > 0 and strpos(c.last_address, ':') > 0
					then c.last_address::inet <<= set_masklen(p_network::inet, 64)
					else c.last_address = p_network
				end
		)
	from account a
	where a.name = p_name and a.state = 'active' and a.password_hash is not null
$$;

-- Second half of POST /v1/session: creates a session. Beyond credentials_max() the oldest sessions end.
--   p_password_hash  the hash that the password was checked against. If the account has another one by now,
--                    the session is refused.
--   p_address        the client's
-- Caller: api/session.c.
-- Locks: the account's row, for share: a concurrent change of password or state would not end this session,
--   which it can't see yet.
-- Errors: 401 bad_credentials.
create function session_add(
	p_name text,
	p_password_hash text,
	p_hash text,
	p_expires_at timestamptz,
	p_address text
) returns table (body text)
language plpgsql as $$
declare
	v_account account;
	v_id bigint;
begin
	-- Locked: a concurrent change of password or state ends the other sessions, but can't see this one yet.
	select * into v_account
	from account a
	where a.name = p_name and a.state = 'active' and a.password_hash = p_password_hash
	for share;
	if not found then
		perform refuse('bad_credentials');
	end if;
	insert into credential (hash, name, kind, expires_at, last_address)
	values (p_hash, p_name, 'session', p_expires_at, p_address);
	for v_id in
		delete from credential c
		where c.id = any (array(
			select x.id
			from credential x
			where x.name = p_name and x.kind = 'session'
			order by x.id desc
			offset credentials_max()
		))
		returning c.id
	loop
		perform account_changed(p_name, v_id);
	end loop;
	return query
		select jsonb_build_object(
			'expires_at', stamp(p_expires_at),
			'user', account_json(v_account)
		)::text;
end $$;

-- Creates a stream ticket: a secret for one request, valid for 60 seconds.
-- Callers: POST /v1/stream-tickets (api/session.c).
create function ticket_add(p_credential bigint, p_hash text) returns table (body text)
language sql as $$
	insert into ticket
	values (p_hash, p_credential, clock_timestamp() + interval '60 s')
	returning jsonb_build_object('expires_at', stamp(expires_at))::text
$$;

-- Consumes a stream ticket and finds its user, as authenticate() does.
-- Caller: api/auth.c.
create function ticket_redeem(p_hash text)
returns table (id bigint, name text, admin boolean, kind text, expires_ms bigint)
language sql rows 1 as $$
	with spent as (
		delete from ticket t where t.hash = p_hash returning *
	)
	select c.id, a.name, a.admin, c.kind, (extract(epoch from c.expires_at) * 1000)::bigint
	from spent t
	join credential c on c.id = t.credential_id
	join account a on a.name = c.name
	where t.expires_at > clock_timestamp()
		and a.state = 'active'
		and (c.expires_at is null or c.expires_at > clock_timestamp())
		and not c.revoked
$$;
