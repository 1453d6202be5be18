-- SPDX-License-Identifier: MIT
-- Reactions. Each is an entity of its own. Their counts are in the message's row, so that a page of messages
-- needs no other table.

-- Adds a reaction. Every member who isn't muted may. Adding it again changes nothing.
--   p_emoji  in canonical form
--   p_most   the most kinds of reactions of a message; 0: no limit
-- Caller: PUT /v1/chats/{chat}/messages/{id}/reactions/{emoji}.
-- Locks: the log lock.
-- Errors: 403 blocked, muted; 404 not_found; 410 gone; 422 too_many_reactions.
create function reaction_put(p_me text, p_chat text, p_id bigint, p_emoji text, p_most int)
returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_member member;
	v_message message;
	v_reaction reaction;
begin
	v := log_begin();
	v_member := membership(p_me, chat_of(p_me, p_chat));
	v_message := message_of(v_member, p_id);
	perform require_unbarred(v_member.chat_id);
	if v_member.muted_until > v.at then
		perform refuse('muted');
	end if;
	select r.* into v_reaction
	from reaction r
	where r.chat_id = v_member.chat_id
		and r.message_id = p_id
		and r.emoji = p_emoji
		and r.name = p_me
		and r.active;
	if found then
		return query select v_reaction.rev, reaction_json(v_reaction);
		return;
	end if;
	if not coalesce(v_message.reactions ? p_emoji, false)
		and p_most > 0
		and (select count(*) from jsonb_object_keys(v_message.reactions)) >= p_most
	then
		perform refuse(
			'too_many_reactions',
			format('A message has at most %s kinds of reactions.', p_most)
		);
	end if;
	update message m
	set reactions = coalesce(m.reactions, '{}') || jsonb_build_object(
		p_emoji, coalesce((m.reactions ->> p_emoji)::int, 0) + 1
	)
	where m.chat_id = v_member.chat_id and m.id = p_id;
	insert into reaction as r (chat_id, message_id, emoji, name, active, at, rev)
	values (v_member.chat_id, p_id, p_emoji, p_me, true, v.at, v.head + 1)
	on conflict (chat_id, message_id, emoji, name) do update
	set active = true, at = excluded.at, rev = excluded.rev
	returning r.* into v_reaction;
	perform log_append(v.head + 1, v.head + 1, v.at, reaction_line(v_reaction));
	return query select v_reaction.rev, reaction_json(v_reaction);
end $$;

-- Subtracts one from the count of an emoji.
-- Callers: erase_reactions(), reaction_delete().
-- Locks: the caller holds the log lock.
create function reaction_uncount(p_chat bigint, p_id bigint, p_emoji text) returns void
language sql as $$
	update message m
	set reactions = nullif(
		case (m.reactions ->> p_emoji)::int
			when 1 then m.reactions - p_emoji
			else m.reactions || jsonb_build_object(p_emoji, (m.reactions ->> p_emoji)::int - 1)
		end,
		'{}'
	)
	where m.chat_id = p_chat and m.id = p_id
$$;

-- Removes the caller's reaction. A muted member may too. Succeeds if there is none.
-- Caller: DELETE /v1/chats/{chat}/messages/{id}/reactions/{emoji}.
-- Locks: the log lock.
-- Errors: 404 not_found; 410 gone.
create function reaction_delete(p_me text, p_chat text, p_id bigint, p_emoji text)
returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_member member;
	v_message message;
	v_reaction reaction;
begin
	v := log_begin();
	v_member := membership(p_me, chat_of(p_me, p_chat));
	v_message := message_of(v_member, p_id);
	update reaction r
	set active = false, at = v.at, rev = v.head + 1
	where r.chat_id = v_member.chat_id
		and r.message_id = p_id
		and r.emoji = p_emoji
		and r.name = p_me
		and r.active
	returning r.* into v_reaction;
	if not found then
		return query select null::bigint, null::text;
		return;
	end if;
	perform reaction_uncount(v_member.chat_id, p_id, p_emoji);
	perform log_append(v.head + 1, v.head + 1, v.at, reaction_line(v_reaction));
	return query select v_reaction.rev, null::text;
end $$;

-- Lists who reacted with what, or with p_emoji, in order of time. The cursor is the last rev of the page
-- before.
-- Caller: GET /v1/chats/{chat}/messages/{id}/reactions.
-- Errors: 404 not_found; 410 gone.
create function reactions(
	p_me text,
	p_chat text,
	p_id bigint,
	p_emoji text,
	p_cursor bigint,
	p_limit int
) returns table (body text)
language plpgsql stable as $$
declare
	v_message message := message_of(membership(p_me, chat_of(p_me, p_chat)), p_id);
begin
	return query
		with page as (
			select r.name, r.emoji, r.at, r.rev
			from reaction r
			where r.chat_id = v_message.chat_id
				and r.message_id = p_id
				and r.active
				and r.rev > coalesce(p_cursor, 0)
				and (p_emoji is null or r.emoji = p_emoji)
			order by r.rev
			limit p_limit + 1
		), kept as (
			select * from page order by rev limit p_limit
		)
		select jsonb_strip_nulls(jsonb_build_object(
			'reactions', coalesce(
				jsonb_agg(
					jsonb_build_object(
						'from', k.name,
						'emoji', k.emoji,
						'at', stamp(k.at),
						'rev', k.rev
					)
					order by k.rev
				),
				'[]'
			),
			'next', case when (select count(*) from page) > p_limit then max(k.rev)::text end
		))::text
		from kept k;
end $$;
