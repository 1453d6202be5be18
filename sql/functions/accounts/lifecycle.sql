-- SPDX-License-Identifier: MIT
-- Credentials that are used, and accounts that go. What such an account leaves in chats is seen to in sql/functions/upkeep/erasure.sql.

-- Caller: a worker, every so often, of the credentials p_ids that were used just now; an address that is null is as it was. What another
-- worker is at is left to it. A crash may take it.
create function credentials_used(p_ids bigint[], p_addresses text[], p_agents text[]) returns void
language plpgsql as $$
begin
	perform live_only();
	with used as (
		select distinct on (u.id) u.id, u.address, u.agent from unnest(p_ids, p_addresses, p_agents) as u (id, address, agent) order by u.id
	), free as (
		select c.id from credential c where c.id = any (p_ids) and (c.last_used_at is null or c.last_used_at < clock_timestamp() - interval '1 minute')
			order by c.id for no key update skip locked
	)
	update credential c set last_used_at = clock_timestamp(), last_address = coalesce(u.address, c.last_address),
			user_agent = case when u.address is null then c.user_agent else u.agent end
		from used u, free f where f.id = u.id and c.id = u.id;
end $$;

-- ---- the end of an account ----

-- What is his own and nobody's in a chat: his lists, others' in which he is, when he was here. Caller: erasure_step(), for there may be many.
create function account_clear(p_name text) returns void
language sql as $$
	delete from contact x where x.name = p_name or x.contact = p_name;
	delete from block b where b.name = p_name or b.blocked = p_name;
	delete from seen s where s.name = p_name;
$$;

-- Ends an account: nobody gets in any more, its profile is empty, and its name stays taken, so that nobody else passes for the author of
-- what it wrote. Gives its position. Again: nothing happens. Refuses (409) the last administrator, lest nobody can make another.
-- Callers: me_delete(), admin_user_delete().
create function account_end(p_name text) returns bigint
language plpgsql as $$
declare
	v record;
	v_account account;
begin
	v := log_begin();
	select * into v_account from account a where a.name = p_name;
	if not found then
		perform refuse(404, 'not_found', format('There is no user %s.', p_name));
	end if;
	if v_account.state = 'deleted' then
		return v_account.rev;
	end if;
	if v_account.admin and not exists (select from account a where a.admin and a.state = 'active' and a.name <> p_name) then
		perform refuse(409, 'last_administrator', format('%s is the last administrator: make another one first.', p_name));
	end if;
	perform live_append(live_line('presence', null, string_agg(p.name, ','), null, presence_text(p_name, 'offline', null))) from peers(p_name) p
		where presence_visible(p_name, p.name) having count(*) > 0; -- later nobody may know
	update account a set state = 'deleted', admin = false, display_name = null, about = null, avatar = null, password_hash = null,
		presence = 'nobody', rev = v.head + 1 where a.name = p_name returning * into v_account;
	delete from ticket t using credential c where c.name = p_name and t.credential_id = c.id;
	delete from credential c where c.name = p_name;
	delete from password_reset r where r.name = p_name;
	delete from avatar x where x.name = p_name;
	insert into erasure (name) values (p_name);
	perform account_changed(p_name); -- first: his streams end before they would tell him
	perform log_append(v_account.rev, v_account.rev, v.at, account_line(v_account));
	return v_account.rev;
end $$;

-- DELETE /v1/me, first half: whether a password is needed, and the hash that it is held against. Whoever has signed in with one says it again; a
-- token was given to whoever may do this.
create function me_delete_needs(p_me text, p_credential bigint) returns table (needed boolean, password_hash text)
language sql stable rows 1 as $$
	select c.kind = 'session' and a.password_hash is not null, a.password_hash
		from account a join credential c on c.name = a.name where a.name = p_me and c.id = p_credential and a.state = 'active'
$$;

-- DELETE /v1/me, second half. p_password_hash is the one that the password was right for (null: none was given); a change in between wins.
create function me_delete(p_me text, p_credential bigint, p_password_hash text) returns table (pos bigint, name text, body text)
language plpgsql as $$
declare
	v record;
begin
	perform log_begin();
	select n.needed, n.password_hash into v from me_delete_needs(p_me, p_credential) n;
	if not found then
		perform refuse(401, 'unauthorized', 'The token is unknown, has expired or was revoked.');
	end if;
	if (v.needed or p_password_hash is not null) and v.password_hash is distinct from p_password_hash then
		perform refuse(401, 'bad_credentials', 'Unknown name or wrong password.');
	end if;
	return query select account_end(p_me), p_me, null::text;
end $$;

-- DELETE /v1/admin/users/NAME, postern user delete. Again: 204 as well.
create function admin_user_delete(p_me text, p_name text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v_was text;
	v_pos bigint;
begin
	perform log_begin();
	perform require_admin_or_shell(p_me);
	if p_name = p_me then
		perform refuse(403, 'forbidden', 'Another administrator must do that.');
	end if;
	select a.state into v_was from account a where a.name = p_name;
	v_pos := account_end(p_name);
	if v_was <> 'deleted' then
		perform admin_audit_add(coalesce(p_me, 'server'), 'user_deleted', p_name);
	end if;
	return query select v_pos, null::text;
end $$;
