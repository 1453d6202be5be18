-- SPDX-License-Identifier: MIT
-- Registration and lost passwords. Secrets come as hashes.

-- POST /v1/accounts: creates the caller's own account. An invitation that is unknown, used up or expired is
-- refused alike, before the answer could show that a name is taken.
-- Caller: api/accounts.c.
-- Locks: the log lock.
-- Errors: 403 invite_required; 409 name_taken; 422 bad_name.
create function account_register(
	p_name text,
	p_password_hash text,
	p_invite_hash text,
	p_invite_needed boolean
) returns table (pos bigint, body text)
language plpgsql as $$
begin
	perform log_begin();
	if p_invite_needed then
		update registration_invite i
		set uses = i.uses - 1
		where i.hash = p_invite_hash and i.uses > 0 and i.expires_at > clock_timestamp();
		if not found then
			perform refuse(
				'invite_required', 'The invitation is unknown, used up or too old.'
			);
		end if;
	end if;
	return query
		select (u.body::jsonb ->> 'rev')::bigint, u.body
		from user_add(p_name, p_password_hash, false) u;
end $$;

-- POST /v1/me/password. All other sessions of the caller end.
--   p_old_hash    the hash that the old password was checked against. If the account has another one by now,
--                 the change is refused.
--   p_end_tokens  the caller's other tokens and JWTs end too
-- Caller: api/accounts.c.
-- Errors: 401 bad_credentials.
create function password_change(
	p_me text,
	p_credential bigint,
	p_old_hash text,
	p_new_hash text,
	p_end_tokens boolean
) returns table (name text, body text)
language plpgsql as $$
begin
	update account a
	set password_hash = p_new_hash
	where a.name = p_me and a.state = 'active' and a.password_hash = p_old_hash;
	if not found then
		perform refuse('bad_credentials');
	end if;
	delete from password_reset r where r.name = p_me;
	perform credentials_end(p_me, p_credential, p_end_tokens);
	return query select p_me, null::text;
end $$;

-- Creates a link to reset a password, valid for a day. An older link of the account becomes invalid.
-- Caller: admin_user_reset().
-- Locks: the account's row, for share.
-- Errors: 404 not_found.
create function password_reset_add(p_name text, p_hash text) returns table (body text)
language plpgsql as $$
begin
	perform from account a where a.name = p_name and a.state = 'active' for share;
	if not found then
		perform refuse('not_found', format('There is no active user %s.', p_name));
	end if;
	return query
		insert into password_reset as r (name, hash, expires_at)
		values (p_name, p_hash, clock_timestamp() + interval '1 day')
		on conflict on constraint password_reset_pkey do update
		set hash = excluded.hash, expires_at = excluded.expires_at
		returning jsonb_build_object('name', r.name, 'expires_at', stamp(r.expires_at))::text;
end $$;

-- POST /v1/password-reset: sets the password. A link that is unknown, used or expired is refused alike.
--   p_end_tokens  the account's tokens and JWTs end too
-- Caller: api/accounts.c.
-- Errors: 404 not_found.
create function password_reset_redeem(p_hash text, p_password_hash text, p_end_tokens boolean)
returns table (name text, body text)
language plpgsql as $$
declare
	v_name text;
begin
	delete from password_reset r
	using account a
	where r.hash = p_hash
		and r.expires_at > clock_timestamp()
		and a.name = r.name
		and a.state = 'active'
	returning r.name into v_name;
	if not found then
		perform refuse_absent();
	end if;
	perform user_passwd(v_name, p_password_hash, p_end_tokens);
	return query select v_name, null::text;
end $$;
