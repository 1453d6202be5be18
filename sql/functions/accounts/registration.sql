-- SPDX-License-Identifier: MIT
-- Accounts that people make themselves, and the ways to another password. As everywhere, secrets come as hashes.

-- POST /v1/accounts. Refuses (403) an invitation that is unknown, used up or too old, all alike, and before it says whether a name is taken.
create function account_register(p_name text, p_password_hash text, p_invite_hash text, p_invite_needed boolean)
	returns table (pos bigint, body text)
language plpgsql as $$
begin
	perform log_begin();
	if p_invite_needed then
		update registration_invite i set uses = i.uses - 1
			where i.hash = p_invite_hash and i.uses > 0 and i.expires_at > clock_timestamp();
		if not found then
			perform refuse(403, 'invite_required', 'The invitation is unknown, used up or too old.');
		end if;
	end if;
	return query select (u.body::jsonb ->> 'rev')::bigint, u.body from user_add(p_name, p_password_hash, false) u;
end $$;

-- POST /v1/me/password. p_old_hash must still be the account's: a change in between wins. Ends the sessions other than the caller's own.
create function password_change(p_me text, p_credential bigint, p_old_hash text, p_new_hash text) returns table (name text, body text)
language plpgsql as $$
declare
	v_id bigint;
begin
	update account a set password_hash = p_new_hash where a.name = p_me and a.state = 'active' and a.password_hash = p_old_hash;
	if not found then
		perform refuse(401, 'bad_credentials', 'Unknown name or wrong password.');
	end if;
	delete from password_reset r where r.name = p_me;
	for v_id in delete from credential c where c.name = p_me and c.kind = 'session' and c.id <> p_credential returning c.id loop
		perform account_changed(p_me, v_id);
	end loop;
	return query select p_me, null::text;
end $$;

-- Caller: admin_user_reset(). An older link of the account is no longer good.
create function password_reset_add(p_name text, p_hash text) returns table (body text)
language plpgsql as $$
begin
	perform from account a where a.name = p_name and a.state = 'active' for share;
	if not found then
		perform refuse(404, 'not_found', format('There is no active user %s.', p_name));
	end if;
	return query insert into password_reset as r (name, hash, expires_at) values (p_name, p_hash, clock_timestamp() + interval '1 day')
		on conflict on constraint password_reset_pkey do update set hash = excluded.hash, expires_at = excluded.expires_at
		returning jsonb_build_object('name', r.name, 'expires_at', stamp(r.expires_at))::text;
end $$;

-- POST /v1/password-reset. What is unknown, used or too old is refused (404) alike.
create function password_reset_redeem(p_hash text, p_password_hash text) returns table (name text, body text)
language plpgsql as $$
declare
	v_name text;
begin
	delete from password_reset r using account a
		where r.hash = p_hash and r.expires_at > clock_timestamp() and a.name = r.name and a.state = 'active' returning r.name into v_name;
	if not found then
		perform refuse_absent();
	end if;
	perform user_passwd(v_name, p_password_hash);
	return query select v_name, null::text;
end $$;
