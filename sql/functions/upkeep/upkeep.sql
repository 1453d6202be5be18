-- SPDX-License-Identifier: MIT
-- Regular upkeep, off the path of a message.

-- Removes what has expired, a chunk of each kind: keys, tombstones (the horizon moves up first), credentials,
-- tickets, nodes that are gone, the contents of deleted chats. Returns the number of rows removed; the caller
-- calls again at once while it is large.
--   p_key_ttl, p_tombstone_ttl  how long keys of sends and tombstones are kept
--   p_chunk                     the most rows of a kind
-- Caller: follow/upkeep.c.
-- Locks: an advisory lock of its own; a node that doesn't get it does nothing. The row of the follower
--   "search_parts", if messages of deleted chats are removed. Never the log lock.
create function upkeep(p_key_ttl interval, p_tombstone_ttl interval, p_chunk int) returns int
language plpgsql as $$
declare
	v_now timestamptz := clock_timestamp(); -- a variable, because a volatile function can't use an index
	v_removed int := 0;
	v_n int;
	v_horizon bigint;
	v_keys bigint;
	v_ids bigint[];
begin
	if not pg_try_advisory_xact_lock(5788050871298354033) then
		return 0;
	end if;
	v_keys := coalesce(log_before(v_now - p_key_ttl), 0);
	delete from message_key
	where ctid = any (array(select k.ctid from message_key k where k.id <= v_keys limit p_chunk));
	get diagnostics v_n = row_count;
	v_removed := v_removed + v_n;

	v_horizon := log_before(v_now - p_tombstone_ttl);
	if v_horizon is not null then
		update meta set value = v_horizon::text where key = 'horizon' and value::bigint < v_horizon;
		delete from tombstone
		where ctid = any (array(
			select t.ctid from tombstone t where t.rev <= v_horizon limit p_chunk
		));
		get diagnostics v_n = row_count;
		v_removed := v_removed + v_n;
		delete from member
		where ctid = any (array(
			select m.ctid
			from member m
			join chat c on c.id = m.chat_id
			where c.state = 'deleted' and c.rev <= v_horizon
			limit p_chunk
		));
		get diagnostics v_n = row_count;
		v_removed := v_removed + v_n;
		delete from log_batch
		where ctid = any (array(
			select b.ctid from log_batch b where b.upto < v_horizon limit p_chunk
		));
		get diagnostics v_n = row_count;
		v_removed := v_removed + v_n;
	end if;

	with gone as (
		delete from message
		where ctid = any (array(
			select m.ctid
			from chat c, lateral (select x.ctid from message x where x.chat_id = c.id limit p_chunk) m
			where c.state = 'deleted'
			limit p_chunk
		))
		returning id
	)
	select array_agg(id) into v_ids from gone;
	if v_ids is not null then
		v_removed := v_removed + cardinality(v_ids);
		perform search_forget(v_ids);
	end if;
	perform search_former_clear();
	delete from watermark
	where ctid = any (array(
		select w.ctid
		from chat c, lateral (select x.ctid from watermark x where x.chat_id = c.id limit p_chunk) w
		where c.state = 'deleted'
		limit p_chunk
	));
	get diagnostics v_n = row_count;
	v_removed := v_removed + v_n;
	v_removed := v_removed + upkeep_groups(p_chunk);
	v_removed := v_removed + messages_upkeep(v_horizon, p_chunk);
	delete from credential
	where ctid = any (array(
		select c.ctid from credential c where c.expires_at < v_now - interval '1 day' limit p_chunk
	));
	get diagnostics v_n = row_count;
	v_removed := v_removed + v_n;
	delete from ticket
	where ctid = any (array(select t.ctid from ticket t where t.expires_at < v_now limit p_chunk));
	get diagnostics v_n = row_count;
	v_removed := v_removed + v_n;
	delete from password_reset where expires_at < v_now;
	delete from registration_invite where uses = 0 or expires_at < v_now;
	delete from announcement where until < v_now;
	delete from node where seen_at < v_now - interval '1 day';
	return v_removed;
end $$;
