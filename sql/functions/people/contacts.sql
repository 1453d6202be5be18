-- SPDX-License-Identifier: MIT
-- Contacts.

-- The account of p_name, which must not be the caller's own.
-- Callers: block_put(), contact_put().
-- Errors: 404 not_found; 422 out_of_range.
create function require_other_account(p_me text, p_name text) returns account
language plpgsql stable as $$
declare
	v_account account;
begin
	select * into v_account from account a where a.name = p_name and a.state <> 'deleted';
	if not found then
		perform refuse_absent();
	end if;
	if p_name = p_me then
		perform refuse('out_of_range', 'The name is your own.');
	end if;
	return v_account;
end $$;

-- Lists the caller's contacts by name. The cursor is the last name of the page before.
-- Caller: GET /v1/contacts.
create function contacts(p_me text, p_cursor text, p_limit int) returns table (body text)
language sql stable as $$
	with page as (
		select x.contact, x.added_at
		from contact x
		where x.name = p_me and (p_cursor is null or x.contact > p_cursor)
		order by x.contact
		limit p_limit + 1
	), kept as (
		select p.* from page p order by p.contact limit p_limit
	)
	select jsonb_strip_nulls(jsonb_build_object(
		'contacts', coalesce((
			select jsonb_agg(
				account_json(a) || jsonb_build_object('added_at', stamp(k.added_at))
				order by k.contact
			)
			from kept k
			join account a on a.name = k.contact
			where a.state <> 'deleted'
		), '[]'),
		'next', case
			when (select count(*) from page) > p_limit then (select max(k.contact) from kept k)
		end
	))::text
$$;

-- Publishes p_me's presence to p_name after the contact was added or removed, if p_me shows it to contacts
-- only. Otherwise the contact hears nothing.
-- Callers: contact_delete(), contact_put().
create function contact_publish_presence(p_me text, p_name text) returns void
language plpgsql as $$
begin
	if exists (select from account a where a.name = p_me and a.presence = 'contacts')
		and not is_blocked(p_me, p_name)
	then
		perform presence_publish_to(p_me, p_name);
	end if;
end $$;

-- Adds a contact.
-- Caller: PUT /v1/contacts/{name}.
-- Errors: 404 not_found; 422 out_of_range.
create function contact_put(p_me text, p_name text) returns table (body text)
language plpgsql as $$
declare
	v_account account := require_other_account(p_me, p_name);
begin
	insert into contact (name, contact) values (p_me, p_name) on conflict do nothing;
	if found then
		perform contact_publish_presence(p_me, p_name);
	end if;
	return query select account_json(v_account)::text;
end $$;

-- Removes a contact. Succeeds if there is none.
-- Caller: DELETE /v1/contacts/{name}.
create function contact_delete(p_me text, p_name text) returns table (body text)
language plpgsql as $$
begin
	delete from contact x where x.name = p_me and x.contact = p_name;
	if found then
		perform contact_publish_presence(p_me, p_name);
	end if;
	return query select null::text;
end $$;
