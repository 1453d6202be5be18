-- SPDX-License-Identifier: MIT
-- The use of credentials, and the deletion of accounts. upkeep/erasure.sql removes what a deleted account
-- leaves in chats.

-- Records the use of credentials. A worker calls it from time to time.
--   p_ids        the credentials
--   p_addresses  the address of each; null: unchanged
--   p_agents     the user agent of each
-- Caller: api/uses.c.
-- Locks: the rows of the credentials; rows that another worker has locked are skipped.
create function credentials_used(p_ids bigint[], p_addresses text[], p_agents text[]) returns void
language plpgsql as $$
begin
	perform commit_without_sync();
	with used as (
		select distinct on (u.id) u.id, u.address, u.agent
		from unnest(p_ids, p_addresses, p_agents) as u (id, address, agent)
		order by u.id
	), free as (
		select c.id
		from credential c
		where c.id = any (p_ids)
			and (
				c.last_used_at is null
				or c.last_used_at < clock_timestamp() - interval '1 minute'
			)
		order by c.id
		for no key update skip locked
	)
	update credential c
	set last_used_at = clock_timestamp(), last_address = coalesce(u.address, c.last_address),
		user_agent = case when u.address is null then c.user_agent else u.agent end
	from used u, free f
	where f.id = u.id and c.id = u.id;
end $$;

-- Removes an account's personal lists: contacts, blocks, when the user was last seen, and other users' entries
-- about them. It is not part of account_delete(), because the lists may be long.
-- Caller: erasure_step().
create function account_clear(p_name text) returns void
language sql as $$
	delete from contact x where x.name = p_name or x.contact = p_name;
	delete from chat_request r where r.name = p_name;
	delete from stranger_rate s where s.name = p_name;
	delete from block b where b.name = p_name or b.blocked = p_name;
	delete from seen s where s.name = p_name;
$$;

-- Deletes an account: it can't sign in any more and its profile is empty. The name stays taken, so that nobody
-- else appears as the author of its messages. Returns the position of the change. A second call changes
-- nothing. The last administrator can't be deleted, because nobody could make another one.
-- Callers: admin_user_delete(), me_delete().
-- Locks: the log lock.
-- Errors: 404 not_found; 409 last_administrator.
create function account_delete(p_name text) returns bigint
language plpgsql as $$
declare
	v record;
	v_account account;
begin
	v := log_begin();
	select * into v_account from account a where a.name = p_name;
	if not found then
		perform refuse('not_found', format('There is no user %s.', p_name));
	end if;
	if v_account.state = 'deleted' then
		return v_account.rev;
	end if;
	if v_account.admin
		and not exists (
			select from account a where a.admin and a.state = 'active' and a.name <> p_name
		)
	then
		perform refuse(
			'last_administrator',
			format('%s is the last administrator: make another one first.', p_name)
		);
	end if;
	-- before the update: after it nobody may see the presence
	perform live_append(live_line(
		'presence', null, string_agg(p.name, ','), null, presence_text(p_name, 'offline', null)
	))
	from direct_chat_peers(p_name) p
	where presence_visible(p_name, p.name)
	having count(*) > 0;
	update account a
	set state = 'deleted', admin = false, display_name = null, about = null, avatar = null,
		password_hash = null, presence = 'nobody', rev = v.head + 1
	where a.name = p_name
	returning * into v_account;
	delete from ticket t using credential c where c.name = p_name and t.credential_id = c.id;
	delete from credential c where c.name = p_name;
	delete from password_reset r where r.name = p_name;
	delete from avatar x where x.name = p_name;
	insert into erasure (name) values (p_name);
	perform account_changed(p_name); -- first, so that the account's own streams end before the event
	perform log_append(v_account.rev, v_account.rev, v.at, account_line(v_account));
	return v_account.rev;
end $$;

-- First half of DELETE /v1/me: says if a password is needed, and the hash to check it against. A session needs
-- one if the account has a password; a token doesn't.
-- Callers: api/accounts.c, me_delete().
create function me_delete_needs(p_me text, p_credential bigint)
returns table (needed boolean, password_hash text)
language sql stable rows 1 as $$
	select c.kind = 'session' and a.password_hash is not null, a.password_hash
	from account a
	join credential c on c.name = a.name
	where a.name = p_me and c.id = p_credential and a.state = 'active'
$$;

-- Second half of DELETE /v1/me: deletes the caller's account.
--   p_password_hash  the hash that the password was checked against; null if none was given. If the account
--                    has another one by now, the request is refused.
-- Caller: api/accounts.c.
-- Locks: the log lock.
-- Errors: 401 bad_credentials, unauthorized; 404 not_found; 409 last_administrator.
create function me_delete(p_me text, p_credential bigint, p_password_hash text)
returns table (pos bigint, name text, body text)
language plpgsql as $$
declare
	v record;
begin
	perform log_begin();
	select n.needed, n.password_hash into v from me_delete_needs(p_me, p_credential) n;
	if not found then
		perform refuse('unauthorized');
	end if;
	if (v.needed or p_password_hash is not null) and v.password_hash is distinct from p_password_hash
	then
		perform refuse('bad_credentials');
	end if;
	return query select account_delete(p_me), p_me, null::text;
end $$;

-- Deletes an account. Deleting it again also succeeds.
-- Callers: DELETE /v1/admin/users/{name}, cli/user.c.
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found; 409 last_administrator.
create function admin_user_delete(p_me text, p_name text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v_was text;
	v_pos bigint;
begin
	perform log_begin();
	perform require_admin_or_shell(p_me);
	if p_name = p_me then
		perform refuse('forbidden', 'Another administrator must do that.');
	end if;
	select a.state into v_was from account a where a.name = p_name;
	v_pos := account_delete(p_name);
	if v_was <> 'deleted' then
		perform admin_audit_add(coalesce(p_me, 'server'), 'user_deleted', p_name);
	end if;
	return query select v_pos, null::text;
end $$;
