-- SPDX-License-Identifier: MIT
-- Many members at once.

-- Adds and removes many members in one transaction. "skipped" lists the users for whom that is impossible,
-- with the code of the error that a single request would get, or "asked": they can accept. Users who are
-- members already, or no longer, are ignored.
-- Caller: POST /v1/chats/{chat}/members.
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found; 422 out_of_range, too_many_members; 429 rate_limited.
create function members_change(
	p_me text,
	p_chat text,
	p_add text[],
	p_remove text[],
	p_members_max int,
	p_chats_max int,
	p_rate_strangers int
) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_mine member;
	v_row chat;
	v_add text[];
	v_remove text[];
	v_skipped jsonb;
	v_check record;
	v_asked text[];
	v_pos bigint;
	v_system record;
begin
	if p_add && p_remove then
		perform refuse('out_of_range', 'Nobody can be added and removed at once.');
	end if;
	v_check := adding_check(p_me, p_add, p_chats_max, p_rate_strangers);
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	v_mine := membership(p_me, v_chat);
	select c.* into v_row from chat c where c.id = v_chat;
	if v_row.kind = 'direct'
		or (cardinality(p_add) > 0 and role_rank(v_mine.role) < adding_rank(v_row.adding))
		or (cardinality(p_remove) > 0 and role_rank(v_mine.role) < 2)
	then
		perform refuse('forbidden');
	end if;
	with item as materialized (
		select n.name, true as adds,
			case
				when a.name is null then 'unknown_user'
				when m.state = 'banned' then 'banned'
				when b.name is not null then 'blocked'
				when m.state = 'joined' then null
				when n.name = any (v_check.asked) then 'asked'
				when n.name = any (v_check.crowded) then 'too_many_chats'
			end as code,
			coalesce(m.state, '') = 'joined' as done
		from (select distinct x as name from unnest(p_add) x) n
		left join member m on m.chat_id = v_chat and m.name = n.name
		left join account a on a.name = n.name and a.state = 'active'
		left join block b on b.name = n.name and b.blocked = p_me
		union all
		select n.name, false,
			case
				when m.name is null then 'not_found'
				when m.state = 'joined'
					and (n.name = p_me or role_rank(m.role) >= role_rank(v_mine.role))
				then 'forbidden'
			end,
			m.state <> 'joined'
		from (select distinct x as name from unnest(p_remove) x) n
		left join member m on m.chat_id = v_chat and m.name = n.name
	)
	select
		coalesce(
			array_agg(i.name order by i.name) filter (
				where i.adds and i.code is null and not i.done
			),
			'{}'
		),
		coalesce(
			array_agg(i.name order by i.name) filter (
				where not i.adds and i.code is null and not i.done
			),
			'{}'
		),
		coalesce(
			jsonb_agg(
				jsonb_build_object('name', i.name, 'code', i.code)
				order by i.name
			) filter (where i.code is not null),
			'[]'
		),
		coalesce(array_agg(i.name order by i.name) filter (where i.code = 'asked'), '{}')
	into v_add, v_remove, v_skipped, v_asked
	from item i;
	v_row.members_count := v_row.members_count + cardinality(v_add) - cardinality(v_remove);
	if p_members_max > 0 and cardinality(v_add) > 0 and v_row.members_count > p_members_max then
		perform refuse(
			'too_many_members', format('A chat has at most %s members.', p_members_max)
		);
	end if;
	perform strangers_take(
		p_me, p_rate_strangers,
		(
			select count(*)::int
			from unnest(v_check.strangers) s
			where s = any (v_add) or s = any (v_asked)
		)
	);
	if cardinality(v_asked) > 0 then
		perform chat_requests_add(p_me, v_chat, v_asked);
	end if;
	if cardinality(v_add) + cardinality(v_remove) > 0 then
		perform members_remove(v_chat, v_remove, 'kicked', v.head + 1);
		perform members_add(v_chat, v_add, 'member', null, v.head + 1 + cardinality(v_remove));
		v_pos := count_members(
			v_chat, cardinality(v_add) - cardinality(v_remove),
			v.head + 1 + cardinality(v_remove) + cardinality(v_add), true
		);
		perform audit_add(
			v_chat, v.at, p_me, 'members_changed', null,
			jsonb_build_object(
				'added', cardinality(v_add),
				'removed', cardinality(v_remove),
				'added_names', to_jsonb(v_add[1:100]),
				'removed_names', to_jsonb(v_remove[1:100])
			)
		);
		v_system := system_messages(
			v_chat, v_pos + 1, v.at, p_me,
			(
				select case
					when announces_members(c) and cardinality(v_add) > 0
					then jsonb_build_object('code', 'members_added', 'names', v_add)
				end
				from chat c
				where c.id = v_chat
			),
			(
				select case
					when announces_members(c)
						and cardinality(v_remove) between 1 and large_chat_members()
					then jsonb_build_object(
						'code', 'members_removed',
						'names', v_remove
					)
				end
				from chat c
				where c.id = v_chat
			)
		);
		v_pos := v_system.upto;
		perform log_append(
			v.head + 1, v_pos, v.at, chat_lines(v_chat, v.head + 1) || v_system.lines
		);
	end if;
	return query
		select v_pos,
			jsonb_build_object(
				'added', cardinality(v_add),
				'removed', cardinality(v_remove),
				'members_count', v_row.members_count,
				'skipped', v_skipped
			)::text;
end $$;
