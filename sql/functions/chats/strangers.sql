-- SPDX-License-Identifier: MIT
-- Who may add whom to chats, how many chats a user is in, and how many strangers they reach. A stranger is who
-- doesn't know the caller.

-- Returns true if p_name has p_other among their contacts, or shares a group or a direct chat with them. A
-- channel doesn't count, because anybody may have joined it.
-- Callers: adding_check(), direct_chat().
create function is_known(p_name text, p_other text) returns boolean
language sql stable as $$
	select p_name = p_other
		or exists (select from contact x where x.name = p_name and x.contact = p_other)
		or exists (
			select
			from member m
			join member o on o.chat_id = m.chat_id and o.name = p_other and o.state = 'joined'
			join chat c on c.id = m.chat_id and c.state = 'active' and c.kind <> 'channel'
			where m.name = p_name and m.state = 'joined'
		)
$$;

-- Returns true if p_name is in at least that many chats.
-- Callers: adding_check(), require_room().
create function has_chats(p_name text, p_count int) returns boolean
language sql stable as $$
	select exists (
		select
		from member m
		where m.name = p_name and m.state = 'joined'
		order by m.chat_id
		offset p_count - 1
		limit 1
	)
$$;

-- Refuses a user who is in as many chats as they may be (0: any number).
-- Callers: chat_create(), direct_chat(), join_chat().
-- Errors: 422 too_many_chats.
create function require_room(p_name text, p_chats_max int) returns void
language plpgsql stable as $$
begin
	if p_chats_max > 0 and has_chats(p_name, p_chats_max) then
		perform refuse(
			'too_many_chats', format('%s is in %s chats, the most there can be.', p_name, p_chats_max)
		);
	end if;
end $$;

-- Of the users whom p_me wants to add: "asked" must be asked first, "crowded" have too many chats, "strangers"
-- don't know p_me. Others may fill half of the chats that a user may have, so that nobody is locked out by
-- what others do. It takes long for many users, so it is called before the log lock is taken.
-- Callers: chat_create(), member_put(), members_change().
create function adding_check(
	p_me text,
	p_names text[],
	p_chats_max int,
	p_rate int,
	out asked text[],
	out crowded text[],
	out strangers text[]
)
language sql stable as $$
	select
		coalesce(
			array_agg(u.name) filter (
				where u.who_may_add = 'nobody' or (u.who_may_add = 'known' and not u.known)
			),
			'{}'
		),
		coalesce(array_agg(u.name) filter (where u.crowded), '{}'),
		coalesce(array_agg(u.name) filter (where not u.known), '{}')
	from (
		select a.name, a.who_may_add,
			case
				when a.who_may_add = 'known' or p_rate > 0 then is_known(a.name, p_me)
				else true
			end as known,
			p_chats_max > 0 and has_chats(a.name, greatest(p_chats_max / 2, 1)) as crowded
		from account a
		where a.name = any (p_names) and a.name <> p_me and a.state = 'active'
	) u
$$;

-- Counts strangers whom p_me adds, asks or writes to for the first time. Administrators of the server aren't
-- limited.
--   p_rate  the most in an hour; 0: any number
-- Callers: chat_create(), direct_chat(), member_put(), members_change().
-- Locks: the caller holds the log lock.
-- Errors: 429 rate_limited.
create function strangers_take(p_me text, p_rate int, p_count int) returns void
language plpgsql as $$
declare
	v_now timestamptz := clock_timestamp();
	v_next timestamptz;
begin
	if p_count = 0 or p_rate = 0 or exists (select from account a where a.name = p_me and a.admin) then
		return;
	end if;
	v_next := greatest((select s.at from stranger_rate s where s.name = p_me), v_now)
		+ interval '1 hour' / p_rate * p_count;
	if v_next > v_now + interval '1 hour 1 second' then
		perform refuse(
			'rate_limited',
			format(
				'At most %s users an hour who don''t know you. Retry in %s s.', p_rate,
				ceil(extract(epoch from v_next - v_now)) - 3600
			)
		);
	end if;
	insert into stranger_rate
	values (p_me, v_next)
	on conflict (name) do update set at = excluded.at;
end $$;
