-- SPDX-License-Identifier: MIT
-- A chat's audit trail: what its owner and admins did. It has codes and arguments, no prose.

-- The number of the chat's next entry.
-- Callers: audit_add(), invite_create().
-- Locks: the caller holds the log lock.
create function audit_next(p_chat bigint) returns bigint
language sql stable as $$ select coalesce(max(a.id), 0) + 1 from audit a where a.chat_id = p_chat $$;

-- Adds an entry.
-- Callers: the functions that do what the audit trail lists, in the same transaction.
-- Locks: the caller holds the log lock.
create function audit_add(
	p_chat bigint,
	p_at timestamptz,
	p_actor text,
	p_act text,
	p_target text default null,
	p_details jsonb default null
) returns void
language sql as $$
	insert into audit values (p_chat, audit_next(p_chat), p_at, p_actor, p_act, p_target, p_details)
$$;

-- The JSON of an entry.
-- Caller: audit_list().
create function audit_json(a audit) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(
		jsonb_build_object(
				'id', a.id,
				'at', stamp(a.at),
				'actor', a.actor,
				'act', a.act,
				'target', a.target
			)
			|| jsonb_build_object('details', a.details)
	)
$$;

-- Lists the audit trail, the latest entry first, for the owner and admins. The cursor is the last number of
-- the page before.
-- Caller: GET /v1/chats/{chat}/audit.
-- Errors: 403 forbidden; 404 not_found.
create function audit_list(p_me text, p_chat text, p_cursor bigint, p_limit int)
returns table (body text)
language plpgsql stable as $$
declare
	v_chat bigint := chat_of(p_me, p_chat);
begin
	if role_rank((membership(p_me, v_chat)).role) < 2
		or exists (select from chat c where c.id = v_chat and c.kind = 'direct')
	then
		perform refuse('forbidden', 'The audit trail is for the chat''s owner and admins.');
	end if;
	return query
		with page as (
			select a
			from audit a
			where a.chat_id = v_chat and (p_cursor is null or a.id < p_cursor)
			order by a.id desc
			limit p_limit + 1
		), kept as (
			select a from page order by (a).id desc limit p_limit
		)
		select jsonb_strip_nulls(jsonb_build_object(
			'acts', coalesce(jsonb_agg(audit_json(a) order by (a).id desc), '[]'),
			'next', case when (select count(*) from page) > p_limit then min((a).id)::text end
		))::text
		from kept;
end $$;

-- Removes expired invites, old rows of pace, and what belongs to deleted chats. Returns the number of rows
-- that count against p_chunk.
-- Caller: upkeep().
create function upkeep_groups(p_chunk int) returns int
language plpgsql as $$
declare
	v_removed int := 0;
	v_n int;
begin
	delete from invite
	where expires_at < clock_timestamp() - interval '1 day'
		or chat_id in (select c.id from chat c where c.state = 'deleted');
	-- The time is checked again, because a concurrent message may have updated the row.
	delete from pace
	where ctid = any (array(
		select p.ctid from pace p where p.at < clock_timestamp() - interval '1 day' limit p_chunk
	))
		and at < clock_timestamp() - interval '1 day';
	get diagnostics v_n = row_count;
	v_removed := v_removed + v_n;
	delete from audit
	where ctid = any (array(
		select a.ctid
		from chat c, lateral (select x.ctid from audit x where x.chat_id = c.id limit p_chunk) a
		where c.state = 'deleted'
		limit p_chunk
	));
	get diagnostics v_n = row_count;
	v_removed := v_removed + v_n;
	return v_removed;
end $$;
