-- SPDX-License-Identifier: MIT
-- Invites: a code lets its bearer into a group or channel. A code that is unknown, expired or used up, one
-- whose chat is deleted, and one of a chat that the bearer is banned from are refused alike.

-- The hash of an invite's code. The table holds hashes only.
-- Callers: invite_create(), invite_of().
create function invite_hash(p_code text) returns text
language sql immutable as $$ select encode(sha256(convert_to(p_code, 'UTF8')), 'hex') $$;

-- The JSON of an invite, without its code.
-- Callers: invite_create(), invites().
create function invite_json(i invite) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object(
		'id', i.id,
		'chat', i.chat_id,
		'created_by', i.created_by,
		'created_at', stamp(i.created_at),
		'expires_at', stamp(i.expires_at),
		'max_uses', i.max_uses,
		'uses', i.uses
	))
$$;

-- Refuses members who may not deal with a chat's invites. The owner and admins may, or only the owner if the
-- chat's setting "adding" says so.
-- Callers: invite_create(), invite_revoke(), invites().
-- Errors: 403 forbidden; 404 not_found.
create function require_inviter(p_me text, p_chat bigint) returns void
language plpgsql stable as $$
declare
	v_mine member := membership(p_me, p_chat);
begin
	if exists (
		select
		from chat c
		where c.id = p_chat
			and (
				c.kind = 'direct'
				or role_rank(v_mine.role) < greatest(adding_rank(c.adding), 2)
			)
	) then
		perform refuse('forbidden');
	end if;
end $$;

-- Creates an invite. Its code, about 240 random bits, is in this answer only. Its number is that of its entry
-- in the audit trail, so it is never used again.
-- Caller: POST /v1/chats/{chat}/invites.
-- Locks: the log lock. Nothing is written to the log; the lock keeps the check of the role valid.
-- Errors: 403 forbidden; 404 not_found; 422 out_of_range, too_many_invites.
create function invite_create(p_me text, p_chat text, p_expires_at timestamptz, p_max_uses int)
returns table (status int, body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
	v_invite invite;
	v_code text := translate(
		encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'), '+/=', '-_'
	);
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	perform require_inviter(p_me, v_chat);
	if p_expires_at <= v.at then
		perform refuse('out_of_range', 'expires_at lies in the past.');
	end if;
	if (select count(*) from invite i where i.chat_id = v_chat) >= 100 then
		-- Remove those that can't be used any more.
		delete from invite i
		where i.chat_id = v_chat and (i.expires_at <= v.at or i.uses >= i.max_uses);
		if not found then
			perform refuse(
				'too_many_invites', 'A chat has at most 100 invites: revoke one first.'
			);
		end if;
	end if;
	insert into invite (chat_id, id, hash, created_by, created_at, expires_at, max_uses)
	values (v_chat, audit_next(v_chat), invite_hash(v_code), p_me, v.at, p_expires_at, p_max_uses)
	returning * into v_invite;
	perform audit_add(
		v_chat, v.at, p_me, 'invite_created', null,
		invite_json(v_invite) - '{chat,created_by,created_at,uses}'::text[]
	);
	return query select 201, (jsonb_build_object('code', v_code) || invite_json(v_invite))::text;
end $$;

-- Lists a chat's invites.
-- Caller: GET /v1/chats/{chat}/invites.
-- Errors: 403 forbidden; 404 not_found.
create function invites(p_me text, p_chat text) returns table (body text)
language plpgsql stable as $$
declare
	v_chat bigint := chat_of(p_me, p_chat);
begin
	perform require_inviter(p_me, v_chat);
	return query
		select jsonb_build_object(
			'invites', coalesce(jsonb_agg(invite_json(i) order by i.id), '[]')
		)::text
		from invite i
		where i.chat_id = v_chat;
end $$;

-- Revokes an invite.
-- Caller: DELETE /v1/chats/{chat}/invites/{id}.
-- Locks: the log lock.
-- Errors: 403 forbidden; 404 not_found.
create function invite_revoke(p_me text, p_chat text, p_id bigint) returns table (body text)
language plpgsql as $$
declare
	v record;
	v_chat bigint;
begin
	v := log_begin();
	v_chat := chat_of(p_me, p_chat);
	perform require_inviter(p_me, v_chat);
	delete from invite i where i.chat_id = v_chat and i.id = p_id;
	if not found then
		perform refuse_absent();
	end if;
	perform audit_add(v_chat, v.at, p_me, 'invite_revoked', null, jsonb_build_object('id', p_id));
	return query select null::text;
end $$;

-- The invite of a code, if it is valid at p_at and p_me may use it.
-- Callers: invite_get(), invite_join().
-- Errors: 404 not_found.
create function invite_of(p_me text, p_code text, p_at timestamptz) returns invite
language plpgsql stable as $$
declare
	v_invite invite;
begin
	select i.* into v_invite
	from invite i
	join chat c on c.id = i.chat_id and c.state = 'active'
	where i.hash = invite_hash(p_code)
		and (i.expires_at is null or i.expires_at > p_at)
		and (
			i.max_uses is null
			or i.uses < i.max_uses
			or exists (
				select
				from member m
				where m.chat_id = i.chat_id and m.name = p_me and m.state = 'joined'
			)
		)
		and not exists (
			select
			from member m
			where m.chat_id = i.chat_id and m.name = p_me and m.state = 'banned'
		);
	if not found then
		perform refuse_absent();
	end if;
	return v_invite;
end $$;

-- Shows where an invite leads. The chat's number is shown to its members only.
-- Caller: GET /v1/invites/{code}.
-- Errors: 404 not_found.
create function invite_get(p_me text, p_code text) returns table (body text)
language plpgsql stable as $$
declare
	v_invite invite := invite_of(p_me, p_code, clock_timestamp());
begin
	return query
		select jsonb_strip_nulls(jsonb_build_object(
			'kind', c.kind,
			'title', c.title,
			'members_count', c.members_count,
			'created_by', v_invite.created_by,
			'expires_at', stamp(v_invite.expires_at),
			'chat', (
				select m.chat_id
				from member m
				where m.chat_id = c.id and m.name = p_me and m.state = 'joined'
			)
		))::text
		from chat c
		where c.id = v_invite.chat_id;
end $$;

-- Joins the chat of an invite. A member gets the chat, and the invite isn't used.
-- Caller: POST /v1/invites/{code}.
-- Locks: the log lock.
-- Errors: 404 not_found; 422 too_many_chats, too_many_members.
create function invite_join(p_me text, p_code text, p_members_max int, p_chats_max int)
returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_invite invite;
	v_pos bigint;
begin
	v := log_begin();
	v_invite := invite_of(p_me, p_code, v.at);
	v_pos := join_chat(v.head, v.at, p_me, v_invite.chat_id, p_members_max, p_chats_max);
	if v_pos is not null then
		update invite i
		set uses = uses + 1
		where i.chat_id = v_invite.chat_id and i.id = v_invite.id;
	end if;
	return query select v_pos, chat_view(p_me, v_invite.chat_id);
end $$;
