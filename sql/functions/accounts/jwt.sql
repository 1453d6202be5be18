-- SPDX-License-Identifier: MIT
-- JSON Web Tokens. The worker has verified the signature and the claims.

-- Finds the user of a JWT, as authenticate() does, and records the JWT as a credential. With p_create the
-- account is created if it doesn't exist.
--   p_expires_s  when the JWT expires, in seconds since 1970
-- Caller: api/auth.c.
-- Locks: the log lock if an account is created.
-- Errors: 422 bad_name.
create function jwt_authenticate(p_hash text, p_name text, p_expires_s bigint, p_create boolean)
returns table (id bigint, name text, admin boolean, kind text, expires_ms bigint)
language plpgsql as $$
declare
	v_code text;
begin
	if p_create and not exists (select from account a where a.name = p_name) then
		begin
			perform user_add(p_name, null, false);
		exception when sqlstate 'PTREF' then
			get stacked diagnostics v_code = pg_exception_hint;
			if v_code <> 'name_taken' then -- a concurrent request has created it
				raise;
			end if;
		end;
	end if;
	insert into credential (hash, name, kind, expires_at)
	select p_hash, a.name, 'jwt', to_timestamp(p_expires_s)
	from account a
	where a.name = p_name and a.state = 'active'
	on conflict (hash) do nothing;
	return query select * from authenticate(p_hash);
end $$;
