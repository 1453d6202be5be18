-- SPDX-License-Identifier: MIT
-- Invitations to register.

-- The JSON of an invitation, without its code.
-- Callers: admin_invite_add(), admin_invites().
create function registration_invite_json(i registration_invite) returns jsonb
language sql stable as $$
	select jsonb_build_object(
		'id', i.id,
		'uses', i.uses,
		'created_by', i.created_by,
		'created_at', stamp(i.created_at),
		'expires_at', stamp(i.expires_at)
	)
$$;

-- Creates an invitation: by default for one use, valid for 7 days.
-- Caller: api/accounts.c.
-- Errors: 403 forbidden; 422 out_of_range.
create function admin_invite_add(p_me text, p_hash text, p_uses int, p_expires_at timestamptz)
returns table (body text)
language plpgsql as $$
declare
	v_invite registration_invite;
begin
	perform require_admin(p_me);
	if p_expires_at <= clock_timestamp() then
		perform refuse('out_of_range', 'expires_at lies in the past.');
	end if;
	insert into registration_invite (hash, uses, created_by, expires_at)
	values (
		p_hash, coalesce(p_uses, 1), p_me,
		coalesce(p_expires_at, clock_timestamp() + interval '7 days')
	)
	returning * into v_invite;
	perform admin_audit_add(
		p_me, 'invite_created', null, jsonb_build_object('id', v_invite.id, 'uses', v_invite.uses)
	);
	return query select registration_invite_json(v_invite)::text;
end $$;

-- Lists the invitations that are still valid.
-- Caller: GET /v1/admin/invites.
-- Errors: 403 forbidden.
create function admin_invites(p_me text) returns table (body text)
language plpgsql as $$
begin
	perform require_admin(p_me);
	return query
		select jsonb_build_object(
			'invites', coalesce(jsonb_agg(registration_invite_json(i) order by i.id), '[]')
		)::text
		from registration_invite i
		where i.uses > 0 and i.expires_at > clock_timestamp();
end $$;

-- Revokes an invitation.
-- Caller: DELETE /v1/admin/invites/{id}.
-- Errors: 403 forbidden; 404 not_found.
create function admin_invite_delete(p_me text, p_id bigint) returns table (body text)
language plpgsql as $$
begin
	perform require_admin(p_me);
	delete from registration_invite i where i.id = p_id;
	if not found then
		perform refuse_absent();
	end if;
	perform admin_audit_add(p_me, 'invite_revoked', null, jsonb_build_object('id', p_id));
	return query select null::text;
end $$;
