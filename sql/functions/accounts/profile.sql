-- SPDX-License-Identifier: MIT
-- Profiles: what a user sees of their own account and of others.

-- The JSON of an account as its own user sees it.
-- Callers: admin_user_json(), avatar_put(), export_account(), me_get(), me_patch(), sync().
create function me_json(a account) returns jsonb
language sql stable as $$
	select account_json(a) || jsonb_build_object(
		'admin', a.admin,
		'presence', a.presence,
		'who_may_add', coalesce(a.who_may_add, 'everybody')
	)
$$;

-- Returns the caller's account.
-- Caller: GET /v1/me.
create function me_get(p_me text) returns table (body text)
language sql stable as $$ select me_json(a)::text from account a where a.name = p_me $$;

-- Changes the caller's profile. Null leaves a member as it is, an empty text clears it. A change of presence
-- has no event, because the list of those who may see a user's presence is private. Peers who may no longer
-- see it receive "offline"; those who may see it receive the present state.
-- Caller: PATCH /v1/me.
-- Locks: the log lock.
-- Errors: 401 unauthorized; 422 out_of_range.
create function me_patch(
	p_me text,
	p_display_name text,
	p_presence text,
	p_about text,
	p_who_may_add text
) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_account account;
begin
	if p_display_name <> '' and (p_display_name !~ '\S' or p_display_name ~ '[[:cntrl:]]') then
		perform refuse('out_of_range', 'A display name is one line with something to see.');
	end if;
	if num_nonnulls(p_display_name, p_about) > 0 then
		v := log_begin();
		update account a
		set display_name = case
				when p_display_name is null then display_name
				else nullif(p_display_name, '')
			end,
			about = case when p_about is null then about else nullif(p_about, '') end,
			rev = v.head + 1
		where a.name = p_me and a.state = 'active'
		returning * into v_account;
		if found then
			perform log_append(v.head + 1, v.head + 1, v.at, account_line(v_account));
		end if;
	end if;
	update account a
	set presence = coalesce(p_presence, a.presence),
		who_may_add = nullif(coalesce(p_who_may_add, a.who_may_add), 'everybody')
	where a.name = p_me and a.state = 'active'
	returning * into v_account;
	if not found then -- changed since the request was authenticated
		perform refuse('unauthorized', 'The account is disabled or deleted.');
	end if;
	if p_presence is not null then
		perform presence_hide(p_me);
		perform live_append(presence_line(p_me));
	end if;
	return query select a.rev, me_json(a)::text from account a where a.name = p_me;
end $$;

-- Finds users by the beginning of their name, or of any word of their display name. The cursor is the last
-- name of the page before.
-- Caller: GET /v1/users.
create function users(p_q text, p_cursor text, p_limit int) returns table (body text)
language sql stable as $$
	with page as (
		select a
		from account a
		where a.state <> 'deleted'
			and (p_cursor is null or a.name > p_cursor)
			and (
				p_q is null
				or starts_with(a.name, lower(p_q))
				or search_name_matches(a.display_name, (select search_name_words(p_q)))
			)
		order by a.name
		limit p_limit + 1
	), kept as (
		select a from page order by (a).name limit p_limit
	)
	select jsonb_strip_nulls(jsonb_build_object(
		'users', coalesce(jsonb_agg(account_json(a) order by (a).name), '[]'),
		'next', case when (select count(*) from page) > p_limit then max((a).name) end
	))::text
	from kept
$$;

-- Returns a user's account.
-- Caller: GET /v1/users/{name}.
-- Errors: 404 not_found.
create function user_get(p_name text) returns table (body text)
language plpgsql stable as $$
begin
	return query select account_json(a)::text from account a where a.name = p_name;
	if not found then
		perform refuse_absent();
	end if;
end $$;
