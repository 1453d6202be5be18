-- SPDX-License-Identifier: MIT
-- JSON Web Tokens. The worker has verified the signature and the claims.

-- Finds the user of a JWT, as authenticate() does, and records the JWT as a credential. With p_create the
-- account is created if it doesn't exist.
--   p_hash       the hash of its text
--   p_identity   the hash of what identifies it. Two spellings of one JWT are one credential, so that one that
--                was revoked stays revoked. Rows from before the column have p_hash only.
--   p_expires_s  when the JWT expires, in seconds since 1970; p_issued_s: when it was issued; null: unknown
-- Caller: api/auth.c.
-- Locks: the log lock if an account is created. For a JWT that is new the account's row, for share, as in
--   session_add().
-- Errors: 422 bad_name.
create function jwt_authenticate(
	p_hash text,
	p_identity text,
	p_name text,
	p_expires_s bigint,
	p_issued_s bigint,
	p_create boolean
) returns table (id bigint, name text, admin boolean, kind text, expires_ms bigint)
language plpgsql as $$
declare
	v_expires_at constant timestamptz := to_timestamp(p_expires_s);
	v_code text;
	v_known credential;
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
	for v_round in 1..2 loop
		select c.* into v_known
		from credential c
		where c.kind = 'jwt' and (c.hash = p_hash or c.identity = p_identity)
		order by c.revoked desc, c.identity is null
		limit 1;
		exit when found;
		perform
		from account a
		where a.name = p_name
			and a.state = 'active'
			and (
				a.jwts_from is null
				or p_issued_s is null
				or p_issued_s >= floor(extract(epoch from a.jwts_from))
			)
		for share;
		if not found then
			return;
		end if;
		insert into credential (hash, identity, name, kind, expires_at)
		values (p_hash, p_identity, p_name, 'jwt', v_expires_at)
		on conflict do nothing; -- a concurrent request has recorded it: the second round finds its row
	end loop;
	if v_known.identity is null or v_known.expires_at < v_expires_at then
		update credential c
		set identity = p_identity, expires_at = greatest(c.expires_at, v_expires_at)
		where c.id = v_known.id;
	end if;
	return query
		select c.id, a.name, a.admin, c.kind, p_expires_s * 1000
		from credential c
		join account a on a.name = c.name
		where c.id = v_known.id
			and a.state = 'active'
			and v_expires_at > clock_timestamp()
			and not c.revoked;
end $$;
