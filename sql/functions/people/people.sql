-- SPDX-License-Identifier: MIT
-- Contacts, blocks, presence.

create function require_other(p_me text, p_name text) returns account
language plpgsql stable as $$
declare
	v_account account;
begin
	select * into v_account from account a where a.name = p_name and a.state <> 'deleted';
	if not found then
		perform refuse_absent();
	end if;
	if p_name = p_me then
		perform refuse(422, 'out_of_range', 'That is you.');
	end if;
	return v_account;
end $$;

-- GET /v1/contacts; the cursor is the last name seen.
create function contacts(p_me text, p_cursor text, p_limit int) returns table (body text)
language sql stable as $$
	with page as (
		select x.contact, x.added_at from contact x where x.name = p_me and (p_cursor is null or x.contact > p_cursor) order by x.contact limit p_limit + 1
	), kept as (select p.* from page p order by p.contact limit p_limit)
	select jsonb_strip_nulls(jsonb_build_object('contacts', coalesce((select jsonb_agg(account_json(a) || jsonb_build_object('added_at', stamp(k.added_at))
				order by k.contact) from kept k join account a on a.name = k.contact where a.state <> 'deleted'), '[]'),
			'next', case when (select count(*) from page) > p_limit then (select max(k.contact) from kept k) end))::text
$$;

-- Who comes onto the list or leaves it hears nothing, unless it decides whether he sees if p_me is here.
create function contact_told(p_me text, p_name text) returns void
language plpgsql as $$
begin
	if exists (select from account a where a.name = p_me and a.presence = 'contacts') and not is_blocked(p_me, p_name) then
		perform presence_tell_one(p_me, p_name);
	end if;
end $$;

-- PUT /v1/contacts/NAME
create function contact_put(p_me text, p_name text) returns table (body text)
language plpgsql as $$
declare
	v_account account := require_other(p_me, p_name);
begin
	insert into contact (name, contact) values (p_me, p_name) on conflict do nothing;
	if found then
		perform contact_told(p_me, p_name);
	end if;
	return query select account_json(v_account)::text;
end $$;

-- DELETE /v1/contacts/NAME; again: 204 as well.
create function contact_delete(p_me text, p_name text) returns table (body text)
language plpgsql as $$
begin
	delete from contact x where x.name = p_me and x.contact = p_name;
	if found then
		perform contact_told(p_me, p_name);
	end if;
	return query select null::text;
end $$;

create function is_blocked(p_a text, p_b text) returns boolean
language sql stable as $$
	select exists (select from block b where b.name = p_a and b.blocked = p_b) or exists (select from block b where b.name = p_b and b.blocked = p_a)
$$;

-- GET /v1/blocks; the cursor is the last name seen.
create function blocks(p_me text, p_cursor text, p_limit int) returns table (body text)
language sql stable as $$
	with page as (
		select x.blocked, x.blocked_at from block x where x.name = p_me and (p_cursor is null or x.blocked > p_cursor) order by x.blocked limit p_limit + 1
	), kept as (select p.* from page p order by p.blocked limit p_limit)
	select jsonb_strip_nulls(jsonb_build_object('blocks', coalesce((select jsonb_agg(jsonb_build_object('name', k.blocked, 'blocked_at', stamp(k.blocked_at))
				order by k.blocked) from kept k), '[]'),
			'next', case when (select count(*) from page) > p_limit then (select max(k.blocked) from kept k) end))::text
$$;

-- PUT /v1/blocks/NAME: nobody writes in the direct chat of the two from here on, and neither sees whether the other is here. Lock: the log,
-- so that no message comes in behind it.
create function block_put(p_me text, p_name text) returns table (body text)
language plpgsql as $$
declare
	v_was boolean;
begin
	perform require_other(p_me, p_name);
	perform log_begin();
	v_was := is_blocked(p_me, p_name);
	insert into block (name, blocked) values (p_me, p_name) on conflict do nothing;
	update chat c set barred = true where c.pair = pair_of(p_me, p_name) and not c.barred;
	if not v_was then
		perform presence_tell_one(p_me, p_name);
		perform presence_tell_one(p_name, p_me);
	end if;
	return query select null::text;
end $$;

-- DELETE /v1/blocks/NAME; again: 204 as well.
create function block_delete(p_me text, p_name text) returns table (body text)
language plpgsql as $$
begin
	perform log_begin();
	delete from block b where b.name = p_me and b.blocked = p_name;
	if not found or is_blocked(p_me, p_name) then
		return query select null::text;
		return;
	end if;
	update chat c set barred = false where c.pair = pair_of(p_me, p_name) and c.barred;
	perform presence_tell_one(p_me, p_name);
	perform presence_tell_one(p_name, p_me);
	return query select null::text;
end $$;

-- ---- presence ----

create function presence_text(p_name text, p_state text, p_last_seen timestamptz) returns text
language sql stable as $$
	select concat('{"name":"', p_name, '","state":"', p_state, '"', ',"last_seen":"' || stamp(p_last_seen) || '"', '}')
$$;

create function presence_json(p_name text) returns text
language sql stable as $$
	select presence_text(p_name, x.state, case when x.state = 'offline' then x.at end) from (
		select s.at, case when not exists (select from present p where p.name = p_name) then 'offline' when s.away then 'away' else 'online' end as state
			from (values (1)) one left join seen s on s.name = p_name) x
$$;

-- Whether p_viewer may see whether p_name is here.
create function presence_visible(p_name text, p_viewer text) returns boolean
language sql stable as $$
	select p_name = p_viewer or exists (select from account a where a.name = p_name and a.state = 'active'
		and (a.presence = 'everybody' or (a.presence = 'contacts' and exists (select from contact x where x.name = p_name and x.contact = p_viewer)))
		and not is_blocked(p_name, p_viewer))
$$;

-- Those who share a direct chat with p_name.
create function peers(p_name text) returns table (name text)
language sql stable rows 20 as $$
	select o.name from member m join chat c on c.id = m.chat_id join member o on o.chat_id = m.chat_id and o.name <> p_name
		where m.name = p_name and c.kind = 'direct' and c.state = 'active'
$$;

create function presence_line(p_name text) returns text
language sql stable as $$
	select live_line('presence', null, string_agg(p.name, ','), null, presence_json(p_name)) from peers(p_name) p
		where presence_visible(p_name, p.name) having count(*) > 0
$$;

-- Tells p_viewer how it is with p_name, if they share a direct chat, after what he may see may have changed. Whom he may not see is away for good.
create function presence_tell_one(p_name text, p_viewer text) returns void
language sql as $$
	select live_append(live_line('presence', null, p_viewer, null,
			case when presence_visible(p_name, p_viewer) then presence_json(p_name) else presence_text(p_name, 'offline', null) end))
		where exists (select from chat c where c.pair = pair_of(p_name, p_viewer) and c.state = 'active')
$$;

-- To whoever sees him no longer (nobody does, when his account is no longer active): he has gone.
create function presence_hide(p_name text) returns void
language sql as $$
	select live_append(live_line('presence', null, string_agg(p.name, ','), null, presence_text(p_name, 'offline', null)))
		from peers(p_name) p where not presence_visible(p_name, p.name) having count(*) > 0
$$;

-- GET /v1/presence?users=a,b: those whom the caller may see; of the others, and of those who don't exist, nothing is said.
create function presence_get(p_me text, p_users text) returns table (body text)
language plpgsql stable as $$
declare
	v_names text[] := array(select distinct btrim(n) from unnest(string_to_array(p_users, ',')) n);
begin
	if cardinality(v_names) > 100 then
		perform refuse(422, 'out_of_range', 'Ask for 100 users at most.');
	end if;
	return query select '{"presence":[' || coalesce(string_agg(presence_json(a.name), ',' order by a.name), '') || ']}'
		from unnest(v_names) n join account a on a.name = n where presence_visible(a.name, p_me);
end $$;

-- PUT /v1/presence: he is away, or back, whatever his devices do.
create function presence_put(p_me text, p_state text) returns table (body text)
language plpgsql as $$
begin
	insert into seen as s (name, at, away) values (p_me, clock_timestamp(), p_state = 'away')
		on conflict (name) do update set away = excluded.away;
	perform live_append(presence_line(p_me)) where exists (select from present p where p.name = p_me);
	return query select presence_json(p_me);
end $$;

-- Of those names: who came or left altogether, compared with p_was, is seen now, and his peers are told. Presence lock held.
create function presence_tell(p_names text[], p_was text[]) returns void
language plpgsql as $$
declare
	v_changed text[];
begin
	v_changed := array(select n.name from (select distinct unnest(p_names) as name) n left join (select distinct unnest(p_was) as name) w on w.name = n.name
		where (w.name is not null) <> exists (select from present p where p.name = n.name));
	insert into seen as s (name, at) select n, clock_timestamp() from unnest(v_changed) n order by n
		on conflict (name) do update set at = excluded.at, away = false;
	perform live_append((select string_agg(presence_line(n), '') from unnest(v_changed) n));
end $$;

-- Caller: a worker, of the users with streams on it: p_here have come, p_gone have left; p_only: p_here are all there are. One at a time,
-- else the last two streams of a user could end without either noticing that it was the last.
create function present_set(p_node text, p_worker int, p_here text[], p_gone text[], p_only boolean) returns void
language plpgsql as $$
declare
	v_names text[];
	v_was text[];
begin
	perform live_only();
	perform pg_advisory_xact_lock(5788050871298354034);
	if p_only then
		p_gone := array(select p.name from present p left join unnest(p_here) h on h = p.name where p.node = p_node and p.worker = p_worker and h is null);
	end if;
	v_names := p_here || p_gone;
	v_was := array(select p.name from present p join unnest(v_names) n on n = p.name);
	delete from present p using unnest(p_gone) g where p.node = p_node and p.worker = p_worker and p.name = g;
	insert into present select p_node, p_worker, h from unnest(p_here) h on conflict do nothing;
	perform presence_tell(v_names, v_was);
end $$;

-- Caller: a worker, every few seconds: whoever was on a node that is silent isn't there any more.
create function presence_sweep() returns void
language plpgsql as $$
declare
	v_names text[];
begin
	if not exists (select from present p where not exists (select from node n where n.name = p.node and n.seen_at > clock_timestamp() - interval '15 s')) then
		return;
	end if;
	perform live_only();
	perform pg_advisory_xact_lock(5788050871298354034);
	with gone as (
		delete from present p where not exists (select from node n where n.name = p.node and n.seen_at > clock_timestamp() - interval '15 s') returning p.name
	)
	select array_agg(g.name) into v_names from gone g;
	perform presence_tell(v_names, v_names);
end $$;
