-- SPDX-License-Identifier: MIT
-- What all changes of members use: rows of member, members_count, large chats.

-- In a chat with more members than this, the event of a plain member who joins or leaves goes to that member
-- only. The others receive the chat with its members_count. So 10,000 members who join are 10,000 events, not
-- 10,000 for each member. member.quiet records which it was, so that the log and replay() agree. Migrations
-- call this function crowd.
-- Callers: chat_insert(), count_members(), members_add(), members_change(), members_remove().
create function large_chat_members() returns int
language sql immutable as $$ select 100 $$;

-- Adds p_names to a chat, at positions p_from, p_from + 1, and so on. count_members() follows. A member who
-- was muted before is still muted, unless p_muted_until says otherwise: leaving and coming back must not end
-- it.
-- Callers: join_chat(), member_put(), members_change().
-- Locks: the caller holds the log lock.
create function members_add(
	p_chat bigint,
	p_names text[],
	p_role text,
	p_muted_until timestamptz,
	p_from bigint
) returns void
language sql as $$
	delete from chat_request r where r.chat_id = p_chat and r.name = any (p_names);
	insert into member (chat_id, name, role, state, muted_until, since, floor, rev, quiet)
	select p_chat, n.name, p_role, 'joined', p_muted_until, n.pos,
		case c.history when 'joined' then n.pos else 0 end, n.pos,
		p_role = 'member' and c.members_count + cardinality(p_names) > large_chat_members()
	from (
			select u.name, p_from + u.ord - 1 as pos
			from unnest(p_names) with ordinality u (name, ord)
		) n,
		chat c
	where c.id = p_chat
	on conflict (chat_id, name) do update
	set role = excluded.role, state = excluded.state,
		muted_until = coalesce(
			excluded.muted_until,
			case when member.muted_until > clock_timestamp() then member.muted_until end
		),
		since = excluded.since, floor = excluded.floor, rev = excluded.rev, quiet = excluded.quiet
$$;

-- Removes p_names, who have rows, from a chat, at positions p_from, p_from + 1, and so on. p_state is their
-- new state. count_members() follows.
-- Callers: member_ban(), member_delete(), member_unban(), members_change().
-- Locks: the caller holds the log lock; the rows of watermark, in the same order as mark(), which doesn't take
--   the log lock.
create function members_remove(p_chat bigint, p_names text[], p_state text, p_from bigint) returns void
language sql as $$
	delete from watermark w
	where w.ctid = any (array(
		select x.ctid
		from watermark x
		where x.chat_id = p_chat and x.name = any (p_names)
		order by x.name
		for update
	));
	update member m
	set state = p_state, role = 'member', rev = p_from + n.ord - 1,
		quiet = m.role = 'member' and c.members_count > large_chat_members()
	from unnest(p_names) with ordinality n (name, ord), chat c
	where c.id = p_chat and m.chat_id = p_chat and m.name = n.name
$$;

-- Changes a chat's members_count by p_by. Returns the last position taken.
--   p_pos             the position for the chat's event
--   p_publish_always  publish in any case. If false, a large chat is published only when its count differs by
--                     1 % from the last count that was published; otherwise no position is taken.
-- Callers: join_chat(), member_ban(), member_delete(), member_put(), members_change().
-- Locks: the caller holds the log lock.
create function count_members(p_chat bigint, p_by int, p_pos bigint, p_publish_always boolean)
returns bigint
language plpgsql as $$
declare
	v_count int;
	v_published int;
begin
	update chat c
	set members_count = members_count + p_by
	where c.id = p_chat
	returning members_count, members_told into v_count, v_published;
	if not p_publish_always
		and greatest(v_count, v_count - p_by) > large_chat_members()
		and abs(v_count - v_published) * 100 < v_published
	then
		return p_pos - 1;
	end if;
	update chat c set rev = p_pos, members_told = v_count where c.id = p_chat;
	return p_pos;
end $$;
