-- SPDX-License-Identifier: MIT
-- Who may do what. What is absent and what isn't yours to know of are refused alike.

create function refuse_absent() returns void
language plpgsql as $$
begin
	perform refuse(404, 'not_found', 'No such thing, or not yours to know of.');
end $$;

-- The number of the chat that p_chat names for p_me: a number, or @name for the direct chat with that user. Refuses (404)
-- what is no chat; says nothing about membership.
create function chat_of(p_me text, p_chat text) returns bigint
language plpgsql stable as $$
declare
	v_chat bigint;
begin
	if p_chat ~ '^[0-9]{1,18}$' then
		return p_chat::bigint;
	end if;
	if p_chat like '@%' then
		select c.id into v_chat from chat c where c.pair = pair_of(p_me, substr(p_chat, 2)) and c.state = 'active';
	end if;
	if v_chat is null then
		perform refuse_absent();
	end if;
	return v_chat;
end $$;

create function pair_of(p_a text, p_b text) returns text
language sql immutable as $$ select least(p_a collate "C", p_b) || ' ' || greatest(p_a collate "C", p_b) $$;

-- p_me's row of membership. Refuses (404) whoever is not a member now, and every chat that is gone.
create function membership(p_me text, p_chat bigint) returns member
language plpgsql stable as $$
declare
	v_member member;
begin
	select m.* into v_member from member m join chat c on c.id = m.chat_id
		where m.chat_id = p_chat and m.name = p_me and m.state = 'joined' and c.state = 'active';
	if not found then
		perform refuse_absent();
	end if;
	return v_member;
end $$;

-- Refuses (403) to change anything in a direct chat whose two have a block between them: what isn't sent could be written into what was.
create function require_unbarred(p_chat bigint) returns void
language plpgsql stable as $$
begin
	if exists (select from chat c where c.id = p_chat and c.barred) then
		perform refuse(403, 'blocked', 'One of you two has blocked the other.');
	end if;
end $$;

create function role_rank(p_role text) returns int
language sql immutable as $$ select case p_role when 'owner' then 3 when 'admin' then 2 when 'member' then 1 else 0 end $$;
