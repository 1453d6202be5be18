-- SPDX-License-Identifier: MIT
-- The search index, and the follower that writes it. See 0020_search_parts.sql for the tables.
--
-- The index is only a hint. It lags behind the log. A hit is shown only if the message exists, has the same
-- rev or was never edited (it may have been pinned), and the caller may read it, all in the snapshot of the
-- search. So a deletion, an edit or the removal of a member takes effect at once.
--
-- The functions that touch the tables of segments run as the role that owns the functions, because the worker's
-- role may be one that may not create tables. Whoever writes holds the row 'search_parts' of follower.

-- The table of a segment, quoted.
-- Callers: search_part_create(), search_add(), search_forget(), search_seal(), search_walk_query().
create function search_part_name(p_segment bigint) returns text
language sql immutable as $$ select 'postern.search_part_' || to_hex(p_segment) $$;

-- Returns true if a message has media, in a column of its own or in its content.
-- Caller: search_words().
create function search_has_media(m message) returns boolean
language sql stable as $$
	select coalesce(
		nullif(to_jsonb(m) -> 'media', 'null'), nullif(m.content -> 'media', 'null'), '[]'
	) <> '[]'
$$;

-- The words of a message in the index.
-- Callers: search_follow(), search_follow_back().
create function search_words(m message) returns tsvector
language sql stable as $$
	select array_to_tsvector(
		array['#' || m.chat_id, '@' || m.sender]
		|| case when m.content is not null and search_has_media(m) then array['+media'] else '{}' end
	) || to_tsvector('postern.stems', search_split(coalesce(m.text, '')))
$$;

-- Creates the table of a segment.
-- Caller: search_add().
create function search_part_create(p_segment bigint, p_at timestamptz) returns void
language plpgsql as $$
begin
	execute format('create table %s (like postern.search_row)', search_part_name(p_segment));
	execute format(
		'alter table %s alter column words set statistics 0', search_part_name(p_segment)
	);
	insert into search_part (segment, first_at, last_at, entries) values (p_segment, p_at, p_at, 0);
end $$;

-- Adds entries to the index.
-- Callers: search_follow(), search_follow_back().
-- Locks: the caller holds the follower's row.
create function search_add(p_rows search_row[]) returns void
language plpgsql as $$
declare
	v record;
begin
	for v in
		select n.id >> 13 as segment, min(n.at) as first_at, max(n.at) as last_at, count(*) as n,
			array_agg(n::search_row order by n.id) as rows
		from unnest(p_rows) n
		group by 1
		order by 1
	loop
		if not exists (select from search_part p where p.segment = v.segment) then
			perform search_part_create(v.segment, v.first_at);
		end if;
		execute format('insert into %s select * from unnest($1)', search_part_name(v.segment))
		using v.rows;
		update search_part p
		set first_at = least(p.first_at, v.first_at), last_at = greatest(p.last_at, v.last_at),
			entries = p.entries + v.n
		where p.segment = v.segment;
	end loop;
	insert into search_known (hash)
	select distinct hashtext(l)
	from unnest(p_rows) n, unnest(tsvector_to_array(n.words)) l
	where length(l) between 3 and 25
		and l !~ '[#@+0-9]'
		and not exists (select from search_known k where k.hash = hashtext(l))
	on conflict do nothing;
end $$;

-- Removes messages from the index.
-- Callers: search_follow(), search_skip(), upkeep().
-- Locks: the follower's row.
create function search_forget(p_ids bigint[]) returns void
language plpgsql security definer set search_path from current as $$
declare
	v record;
	v_n bigint;
begin
	perform from follower f where f.name = 'search_parts' for update;
	for v in
		select p.segment, array_agg(x.id) as ids
		from unnest(p_ids) x (id)
		join search_part p on p.segment = x.id >> 13
		where p.entries > 0
		group by 1
	loop
		execute format('delete from %s where id = any ($1)', search_part_name(v.segment)) using v.ids;
		get diagnostics v_n = row_count;
		if v_n > 0 then
			update search_part p set entries = p.entries - v_n where p.segment = v.segment;
		end if;
	end loop;
end $$;

-- Seals the first segment that gets no more messages, or drops the table of one that is empty. Returns false if
-- there is none. A table that somebody reads right now isn't dropped: the next call tries again.
--   p_pos, p_back  the positions of the two followers
-- Caller: search_follow().
-- Locks: the caller holds the follower's row. A search waits for neither.
create function search_seal(p_pos bigint, p_back bigint) returns boolean
language plpgsql as $$
declare
	v search_part;
	v_table text;
begin
	select p.* into v
	from search_part p
	where not p.sealed and (p.segment + 1) << 13 <= p_pos and p_back < greatest(p.segment << 13, 1)
	order by p.segment
	limit 1;
	if found and v.entries > 0 then
		v_table := search_part_name(v.segment);
		execute format('create index on %s using btree (id)', v_table);
		execute format('create index on %s using gin (words) with (fastupdate = off)', v_table);
		update search_part p set sealed = true where p.segment = v.segment;
		return true;
	end if;
	select p.* into v
	from search_part p
	where p.entries = 0 and (p.segment + 1) << 13 <= p_pos and p_back < greatest(p.segment << 13, 1)
	order by p.segment
	limit 1;
	if not found then
		return false;
	end if;
	v_table := search_part_name(v.segment);
	begin
		execute format('lock table %s in access exclusive mode nowait', v_table);
		execute format('drop table %s', v_table);
	exception when lock_not_available then
		return false;
	end;
	delete from search_part p where p.segment = v.segment;
	return true;
end $$;

-- Adds the messages before the follower "search_back" to the index, the newest first: those that were there
-- before the index was. Ends after p_most messages or at p_until. Returns its position; 0: all are done.
-- Caller: search_follow().
-- Locks: the caller holds the row of the follower "search_parts".
create function search_follow_back(p_back bigint, p_most int, p_until timestamptz) returns bigint
language plpgsql as $$
declare
	v_message message;
	v_rows search_row[];
	v_seen int := 0;
	v_back bigint := p_back;
begin
	for v_message in
		select m.* from message m where m.rev <= p_back order by m.rev desc limit p_most
	loop
		exit when v_seen > 0 and clock_timestamp() > p_until;
		v_seen := v_seen + 1;
		v_rows := v_rows || (
			v_message.chat_id, v_message.id, v_message.rev, v_message.at, search_words(v_message)
		)::search_row;
		v_back := v_message.rev - 1;
	end loop;
	if v_seen < p_most and clock_timestamp() <= p_until then
		v_back := 0;
	end if;
	if v_rows is not null then
		perform search_add(v_rows);
	end if;
	update follower f set pos = v_back where f.name = 'search_back';
	return v_back;
end $$;

-- A step of the follower "search": adds the next p_most changed messages to the index, and removes those that
-- were deleted; or seals a segment. It ends sooner when p_ms are over, but not without a change.
--   p_holder   the node that asks. It works only if it holds the follower, or if nobody does.
--   head, pos  the positions of the log and of the follower
--   age_ms     how long the oldest message that isn't in the index has been waiting
--   more       there is more to do now
-- Caller: serve/worker.c.
-- Locks: the follower's row; never the log lock.
-- what is lost with a crash is done again
create function search_follow(
	p_holder text,
	p_most int,
	p_ms int,
	out mine boolean,
	out head bigint,
	out pos bigint,
	out age_ms bigint,
	out more boolean
)
language plpgsql security definer set search_path from current set synchronous_commit = off as $$
declare
	v_until timestamptz := clock_timestamp() + p_ms * interval '1 ms';
	v follower;
	v_back bigint := (select f.pos from follower f where f.name = 'search_back');
	v_upto bigint;
	v_seen int := 0;
	v_change record;
	v_rows search_row[];
	v_gone bigint[];
begin
	more := false;
	select * into v from follower f where f.name = 'search_parts' for update skip locked;
	mine := found and (v.holder is null or v.holder = p_holder or v.until < clock_timestamp());
	head := log_head();
	pos := coalesce(v.pos, (select f.pos from follower f where f.name = 'search_parts'));
	if mine then
		v_upto := v.pos;
		if search_seal(v.pos, v_back) then
			more := true;
		else
			for v_change in
				select x.*
				from (
					(
						select m.rev, m.id, m
						from message m
						where m.rev > v.pos and m.rev <= head
						order by m.rev
						limit p_most
					)
					union all
					(
						select t.rev, t.id, null
						from tombstone t
						where t.rev > v.pos and t.rev <= head
						order by t.rev
						limit p_most
					)
				) x
				order by x.rev
				limit p_most
			loop
				exit when v_seen > 0 and clock_timestamp() > v_until;
				v_seen := v_seen + 1;
				if (v_change.m).id is null or v_change.rev > v_change.id then
					v_gone := v_gone || v_change.id;
				end if;
				if (v_change.m).id is not null then
					v_rows := v_rows || (
						(v_change.m).chat_id, v_change.id, v_change.rev,
						(v_change.m).at, search_words(v_change.m)
					)::search_row;
				end if;
				v_upto := v_change.rev;
			end loop;
			if v_seen < p_most and clock_timestamp() <= v_until then
				v_upto := head;
			end if;
			if v_gone is not null then
				perform search_forget(v_gone);
			end if;
			if v_rows is not null then
				perform search_add(v_rows);
			end if;
			more := v_upto < head;
			if not more and v_back > 0 then
				v_back := search_follow_back(v_back, p_most, v_until);
				more := v_back > 0;
			end if;
		end if;
		update follower f
		set pos = v_upto, holder = p_holder, until = clock_timestamp() + interval '10 s'
		where f.name = 'search_parts';
		pos := v_upto;
	end if;
	select (extract(epoch from clock_timestamp() - b.at) * 1000)::bigint into age_ms
	from log_batch b
	where b.upto > search_follow.pos
	order by b.upto
	limit 1;
	age_ms := greatest(coalesce(age_ms, 0), 0);
end $$;

-- Moves the follower "search" past the next changed message, which fails whenever it is added to the index;
-- after the last one the follower "search_back". Deletions before it are applied, and an earlier version of the
-- message is removed from the index. Returns which message that is; null if there is none, or if another node
-- holds the follower.
--   p_holder  the node that asks
-- Caller: serve/worker.c.
-- Locks: the follower's row; never the log lock.
create function search_skip(p_holder text) returns text
language plpgsql as $$
declare
	v follower;
	v_message message;
begin
	select * into v
	from follower f
	where f.name = 'search_parts' and f.holder = p_holder
	for update;
	if not found then
		return null;
	end if;
	select * into v_message from message x where x.rev > v.pos order by x.rev limit 1;
	if found then
		perform search_forget(
			(
				select array_agg(t.id)
				from tombstone t
				where t.rev > v.pos and t.rev < v_message.rev
			) || v_message.id
		);
		update follower f set pos = v_message.rev where f.name = 'search_parts';
	else
		select x.* into v_message
		from message x
		where x.rev <= (select f.pos from follower f where f.name = 'search_back')
		order by x.rev desc
		limit 1;
		update follower f set pos = v_message.rev - 1 where f.name = 'search_back' and v_message.id > 0;
	end if;
	return 'message ' || v_message.id || ' of chat ' || v_message.chat_id;
end $$;
