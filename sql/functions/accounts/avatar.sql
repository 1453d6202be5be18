-- SPDX-License-Identifier: MIT
-- Avatars. An account's row carries the hash of its picture, so that clients see when to fetch it again. The
-- bytes are in a table that only avatar_get() and the export read.

-- Sets the hash in an account's row and publishes the account. Returns the position, null if nothing changed
-- or the account is deleted or unknown.
-- Callers: avatar_clear(), avatar_put().
-- Locks: the log lock.
create function avatar_set(p_name text, p_hash text) returns bigint
language plpgsql as $$
declare
	v record;
	v_account account;
begin
	v := log_begin();
	update account a
	set avatar = p_hash, rev = v.head + 1
	where a.name = p_name and a.state <> 'deleted' and a.avatar is distinct from p_hash
	returning * into v_account;
	if found then
		perform log_append(v.head + 1, v.head + 1, v.at, account_line(v_account));
	end if;
	return v_account.rev;
end $$;

-- Removes an account's picture. Returns the position, null if there was none.
-- Callers: admin_avatar_delete(), avatar_delete().
-- Locks: the log lock.
create function avatar_clear(p_name text) returns bigint
language plpgsql as $$
begin
	perform log_begin();
	delete from avatar x where x.name = p_name;
	return avatar_set(p_name, null);
end $$;

-- PUT /v1/me/avatar: sets the caller's picture.
--   p_type  the media type, as detected from the data
--   p_data  the picture in base64
-- Caller: api/avatar.c.
-- Locks: the log lock.
-- Errors: 401 unauthorized.
create function avatar_put(p_me text, p_type text, p_data text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v_data bytea := decode(p_data, 'base64');
	v_hash text := left(encode(sha256(v_data), 'hex'), 16);
	v_id bigint;
begin
	-- Written before the log lock, because it takes long. Nobody else can see this row before the commit.
	insert into avatar (name, hash, type, data)
	values (p_me, v_hash, p_type, v_data)
	returning id into v_id;
	perform log_begin();
	-- changed since the request was authenticated
	if not exists (select from account a where a.name = p_me and a.state = 'active') then
		perform refuse('unauthorized', 'The account is disabled or deleted.');
	end if;
	delete from avatar x where x.name = p_me and x.id <> v_id;
	perform avatar_set(p_me, v_hash);
	return query select a.rev, me_json(a)::text from account a where a.name = p_me;
end $$;

-- Removes the caller's picture. Succeeds if there is none.
-- Caller: DELETE /v1/me/avatar.
-- Locks: the log lock.
create function avatar_delete(p_me text) returns table (pos bigint, body text)
language sql as $$
	select avatar_clear(p_me), null::text
$$;

-- GET /v1/users/{name}/avatar. A user that doesn't exist and one without a picture are refused alike.
--   p_have  the request's If-None-Match; data is null if it names this picture
-- Caller: api/avatar.c.
-- Errors: 404 not_found.
create function avatar_get(p_name text, p_have text) returns table (hash text, type text, data text)
language plpgsql stable as $$
begin
	return query
		select a.avatar, x.type,
			case
				when strpos(p_have, '"' || a.avatar || '"') > 0 or p_have = '*' then null
				else encode(x.data, 'base64')
			end
		from account a
		join avatar x on x.name = a.name and x.hash = a.avatar
		where a.name = p_name;
	if not found then
		perform refuse_absent();
	end if;
end $$;

-- Removes a user's picture. Succeeds if there is none.
-- Caller: DELETE /v1/admin/users/{name}/avatar.
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found.
create function admin_avatar_delete(p_me text, p_name text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v_pos bigint;
begin
	perform log_begin();
	perform require_admin(p_me);
	if not exists (select from account a where a.name = p_name) then
		perform refuse_absent();
	end if;
	v_pos := avatar_clear(p_name);
	if v_pos is not null then
		perform admin_audit_add(p_me, 'avatar_removed', p_name);
	end if;
	return query select v_pos, null::text;
end $$;

-- The export's line with the user's picture; null if there is none.
-- Caller: export_page().
create function export_avatar(p_name text) returns text
language sql stable as $$
	select export_line(
		'avatar',
		jsonb_build_object(
			'hash', x.hash,
			'type', x.type,
			'data', translate(encode(x.data, 'base64'), E'\n', '')
		)
	)
	from avatar x
	where x.name = p_name
$$;
