-- SPDX-License-Identifier: MIT
-- Presence: who is online. The table present has a row a user and worker with open streams.

-- The JSON of a presence.
-- Callers: account_delete(), presence_hide(), presence_json(), presence_publish_to().
create function presence_text(p_name text, p_state text, p_last_seen timestamptz) returns text
language sql stable as $$
	select concat(
		'{"name":"', p_name, '","state":"', p_state, '"',
		',"last_seen":"' || stamp(p_last_seen) || '"', '}'
	)
$$;

-- The JSON of a user's present presence.
-- Callers: presence_get(), presence_line(), presence_publish_to(), presence_put().
create function presence_json(p_name text) returns text
language sql stable as $$
	select presence_text(p_name, x.state, case when x.state = 'offline' then x.at end)
	from (
		select s.at,
			case
				when not exists (select from present p where p.name = p_name) then 'offline'
				when s.away then 'away'
				else 'online'
			end as state
		from (values (1)) one
		left join seen s on s.name = p_name
	) x
$$;

-- Returns true if p_viewer may see p_name's presence.
-- Callers: account_delete(), presence_get(), presence_hide(), presence_line(), presence_publish_to().
create function presence_visible(p_name text, p_viewer text) returns boolean
language sql stable as $$
	select p_name = p_viewer
		or exists (
			select
			from account a
			where a.name = p_name
				and a.state = 'active'
				and (
					a.presence = 'everybody'
					or (
						a.presence = 'contacts'
						and exists (
							select
							from contact x
							where x.name = p_name and x.contact = p_viewer
						)
					)
				)
				and not is_blocked(p_name, p_viewer)
		)
$$;

-- The users who share a direct chat with p_name.
-- Callers: account_delete(), presence_hide(), presence_line().
create function direct_chat_peers(p_name text) returns table (name text)
language sql stable rows 20 as $$
	select o.name
	from member m
	join chat c on c.id = m.chat_id
	join member o on o.chat_id = m.chat_id and o.name <> p_name
	where m.name = p_name and c.kind = 'direct' and c.state = 'active'
$$;

-- The live line with p_name's presence, for the peers who may see it. Null if nobody may.
-- Callers: me_patch(), presence_publish_changes(), presence_put().
create function presence_line(p_name text) returns text
language sql stable as $$
	select live_line('presence', null, string_agg(p.name, ','), null, presence_json(p_name))
	from direct_chat_peers(p_name) p
	where presence_visible(p_name, p.name)
	having count(*) > 0
$$;

-- Publishes p_name's presence to p_viewer, if they share a direct chat, after a change of what p_viewer may
-- see. If p_viewer may not see it, they receive "offline".
-- Callers: block_delete(), block_put(), contact_publish_presence().
create function presence_publish_to(p_name text, p_viewer text) returns void
language sql as $$
	select live_append(live_line(
		'presence', null, p_viewer, null,
		case
			when presence_visible(p_name, p_viewer) then presence_json(p_name)
			else presence_text(p_name, 'offline', null)
		end
	))
	where exists (select from chat c where c.pair = pair_of(p_name, p_viewer) and c.state = 'active')
$$;

-- Publishes "offline" to the peers who may no longer see p_name's presence. If the account is not active, that
-- is all of them.
-- Callers: me_patch(), user_set_state().
create function presence_hide(p_name text) returns void
language sql as $$
	select live_append(live_line(
		'presence', null, string_agg(p.name, ','), null, presence_text(p_name, 'offline', null)
	))
	from direct_chat_peers(p_name) p
	where not presence_visible(p_name, p.name)
	having count(*) > 0
$$;

-- The presence of up to 100 users, for those whom the caller may see. Others, and users who don't exist, are
-- left out alike.
-- Caller: GET /v1/presence.
-- Errors: 422 out_of_range.
create function presence_get(p_me text, p_users text) returns table (body text)
language plpgsql stable as $$
declare
	v_names text[] := array(select distinct btrim(n) from unnest(string_to_array(p_users, ',')) n);
begin
	if cardinality(v_names) > 100 then
		perform refuse('out_of_range', 'Ask for 100 users at most.');
	end if;
	return query
		select '{"presence":['
			|| coalesce(string_agg(presence_json(a.name), ',' order by a.name), '') || ']}'
		from unnest(v_names) n
		join account a on a.name = n
		where presence_visible(a.name, p_me);
end $$;

-- Sets the caller to away or online, for all of their devices.
-- Caller: PUT /v1/presence.
create function presence_put(p_me text, p_state text) returns table (body text)
language plpgsql as $$
begin
	insert into seen as s (name, at, away)
	values (p_me, clock_timestamp(), p_state = 'away')
	on conflict (name) do update set away = excluded.away;
	perform live_append(presence_line(p_me)) where exists (select from present p where p.name = p_me);
	return query select presence_json(p_me);
end $$;

-- Of p_names, finds those who came or went compared with p_was, sets when they were last seen, and publishes
-- their presence.
-- Callers: presence_sweep(), present_set().
-- Locks: the caller holds the presence lock.
create function presence_publish_changes(p_names text[], p_was text[]) returns void
language plpgsql as $$
declare
	v_changed text[];
begin
	v_changed := array(
		select n.name
		from (select distinct unnest(p_names) as name) n
		left join (select distinct unnest(p_was) as name) w on w.name = n.name
		where (w.name is not null) <> exists (select from present p where p.name = n.name)
	);
	insert into seen as s (name, at)
	select n, clock_timestamp()
	from unnest(v_changed) n
	order by n
	on conflict (name) do update set at = excluded.at, away = false;
	perform live_append((select string_agg(presence_line(n), '') from unnest(v_changed) n));
end $$;

-- Records the users with streams on a worker.
--   p_here, p_gone  those who came and those who went
--   p_only          p_here lists all users of this worker
-- Caller: api/presence.c.
-- Locks: the presence lock (advisory): otherwise the last two streams of a user could end at once and neither
--   transaction would see that it was the last.
create function present_set(p_node text, p_worker int, p_here text[], p_gone text[], p_only boolean)
returns void
language plpgsql as $$
declare
	v_names text[];
	v_was text[];
begin
	perform commit_without_sync();
	perform pg_advisory_xact_lock(5788050871298354034);
	if p_only then
		p_gone := array(
			select p.name
			from present p
			left join unnest(p_here) h on h = p.name
			where p.node = p_node and p.worker = p_worker and h is null
		);
	end if;
	v_names := p_here || p_gone;
	v_was := array(select p.name from present p join unnest(v_names) n on n = p.name);
	delete from present p
	using unnest(p_gone) g
	where p.node = p_node and p.worker = p_worker and p.name = g;
	insert into present select p_node, p_worker, h from unnest(p_here) h on conflict do nothing;
	perform presence_publish_changes(v_names, v_was);
end $$;

-- Removes the users of nodes that have been silent for 15 seconds. Workers call it every few seconds.
-- Caller: api/presence.c.
-- Locks: the presence lock (advisory), only if there is such a node.
create function presence_sweep() returns void
language plpgsql as $$
declare
	v_names text[];
begin
	if not exists (
		select
		from present p
		where not exists (
			select
			from node n
			where n.name = p.node and n.seen_at > clock_timestamp() - interval '15 s'
		)
	) then
		return;
	end if;
	perform commit_without_sync();
	perform pg_advisory_xact_lock(5788050871298354034);
	with gone as (
		delete from present p
		where not exists (
			select
			from node n
			where n.name = p.node and n.seen_at > clock_timestamp() - interval '15 s'
		)
		returning p.name
	)
	select array_agg(g.name) into v_names
	from gone g;
	perform presence_publish_changes(v_names, v_names);
end $$;
