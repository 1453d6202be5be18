-- SPDX-License-Identifier: MIT
-- Who may do what in a chat. A chat that doesn't exist and one that the caller may not know of are refused
-- alike.

-- Refuses what doesn't exist, or what the caller may not know of.
-- Callers: every function that looks up what a request names.
-- Errors: 404 not_found.
create function refuse_absent() returns void
language plpgsql as $$
begin
	perform refuse('not_found');
end $$;

-- The number of the chat that p_chat names: a number, or @name for the caller's direct chat with that user.
-- Doesn't check membership.
-- Callers: every function of a route below /v1/chats/{chat}.
-- Errors: 404 not_found.
create function chat_of(p_me text, p_chat text) returns bigint
language plpgsql stable as $$
declare
	v_chat bigint;
begin
	if p_chat ~ '^[0-9]{1,18}$' then
		return p_chat::bigint;
	end if;
	if p_chat like '@%' then
		select c.id into v_chat
		from chat c
		where c.pair = pair_of(p_me, substr(p_chat, 2)) and c.state = 'active';
	end if;
	if v_chat is null then
		perform refuse_absent();
	end if;
	return v_chat;
end $$;

-- As chat_of(), but returns null if there is no such chat. For requests that come in batches.
-- Callers: mark(), signal(), typing().
create function chat_named(p_me text, p_chat text) returns bigint
language sql stable as $$
	select case
		when p_chat ~ '^[0-9]{1,18}$' then p_chat::bigint
		else (
			select c.id
			from chat c
			where c.pair = pair_of(p_me, substr(p_chat, 2)) and c.state = 'active'
		)
	end
$$;

-- The key of the direct chat of two users: their names in byte order.
-- Callers: block_delete(), block_put(), chat_named(), chat_of(), direct_chat(), presence_publish_to().
create function pair_of(p_a text, p_b text) returns text
language sql immutable as $$ select least(p_a collate "C", p_b) || ' ' || greatest(p_a collate "C", p_b) $$;

-- The caller's membership in a chat. Refuses everyone who is not a member now, and chats that are deleted.
-- Callers: every function of a route below /v1/chats/{chat}.
-- Errors: 404 not_found.
create function membership(p_me text, p_chat bigint) returns member
language plpgsql stable as $$
declare
	v_member member;
begin
	select m.* into v_member
	from member m
	join chat c on c.id = m.chat_id
	where m.chat_id = p_chat and m.name = p_me and m.state = 'joined' and c.state = 'active';
	if not found then
		perform refuse_absent();
	end if;
	return v_member;
end $$;

-- Refuses changes in a direct chat if one of its users has blocked the other. Otherwise an edit could say what
-- a send may not.
-- Callers: chat_patch(), reaction_put(), require_pinner().
-- Errors: 403 blocked.
create function require_unbarred(p_chat bigint) returns void
language plpgsql stable as $$
begin
	if exists (select from chat c where c.id = p_chat and c.barred) then
		perform refuse('blocked');
	end if;
end $$;

-- The rank of a role, to compare roles: 3 owner, 2 admin, 1 member, 0 none.
-- Callers: the functions that compare roles.
create function role_rank(p_role text) returns int
language sql immutable as $$
	select case p_role when 'owner' then 3 when 'admin' then 2 when 'member' then 1 else 0 end
$$;

-- The lowest rank that may add members, by the chat's setting "adding".
-- Callers: member_put(), members_change(), require_inviter().
create function adding_rank(p_adding text) returns int
language sql immutable as $$ select case p_adding when 'members' then 1 when 'admins' then 2 else 3 end $$;
