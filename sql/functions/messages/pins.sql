-- SPDX-License-Identifier: MIT
-- Pins, what edited messages said before, and reports.

-- The message's frame as it is now, for a change at its rev.
create function message_line(m message, p_by text) returns text
language sql stable as $$
	select frame_line(m.rev, 'message', m.chat_id::text, p_by, m.id, 0, message_json(m))
$$;

-- One more act on record, where there is a record: in a direct chat both pin as they like.
create function pin_audit(p_member member, p_at timestamptz, p_act text, p_id bigint) returns void
language sql as $$
	select audit_add(p_member.chat_id, p_at, p_member.name, p_act, null, jsonb_build_object('id', p_id)) where role_rank(p_member.role) >= 2
$$;

-- The caller's member row, if he may pin in that chat: its owner and admins, both in a direct chat. Holds the log lock.
create function may_pin(p_me text, p_chat text) returns member
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
begin
	if role_rank(v_member.role) < 2 and not exists (select from chat c where c.id = v_member.chat_id and c.kind = 'direct') then
		perform refuse(403, 'forbidden', 'Only the owner or an admin may pin here.');
	end if;
	perform require_unbarred(v_member.chat_id);
	return v_member;
end $$;

-- PUT /v1/chats/C/messages/ID/pin. Again: changes nothing.
create function pin_put(p_me text, p_chat text, p_id bigint) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_member member;
	v_message message;
	v_said record;
	v_pos bigint;
begin
	v := log_begin();
	v_member := may_pin(p_me, p_chat);
	v_message := message_of(v_member, p_id);
	v_pos := v_message.rev;
	if v_message.pinned is null then
		update message m set pinned = jsonb_build_object('by', p_me, 'at', stamp(v.at)), rev = v.head + 1
			where m.chat_id = v_message.chat_id and m.id = p_id returning m.* into v_message;
		perform pin_audit(v_member, v.at, 'message_pinned', p_id);
		v_said := system_messages(v_message.chat_id, v.head + 2, v.at, p_me, jsonb_build_object('code', 'message_pinned', 'id', p_id));
		perform log_append(v.head + 1, v_said.upto, v.at, message_line(v_message, p_me) || v_said.lines);
		v_pos := v_said.upto;
	end if;
	return query select v_pos, message_json(v_message);
end $$;

-- DELETE /v1/chats/C/messages/ID/pin. Where it isn't pinned: 204 as well.
create function pin_delete(p_me text, p_chat text, p_id bigint) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_member member;
	v_message message;
begin
	v := log_begin();
	v_member := may_pin(p_me, p_chat);
	v_message := message_of(v_member, p_id);
	if v_message.pinned is not null then
		update message m set pinned = null, rev = v.head + 1
			where m.chat_id = v_message.chat_id and m.id = p_id returning m.* into v_message;
		perform pin_audit(v_member, v.at, 'message_unpinned', p_id);
		perform log_append(v.head + 1, v.head + 1, v.at, message_line(v_message, p_me));
	end if;
	return query select v_message.rev, null::text;
end $$;

-- GET /v1/chats/C/pins: the latest message first; the cursor is the last id seen.
create function pins(p_me text, p_chat text, p_cursor bigint, p_limit int) returns table (body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
begin
	return query
		with page as (
			select m from message m where m.chat_id = v_member.chat_id and m.pinned is not null and m.id > v_member.floor
					and m.id < coalesce(p_cursor, 9223372036854775807)
				order by m.id desc limit p_limit + 1
		), kept as (select m from page order by (m).id desc limit p_limit)
		select '{"messages":[' || coalesce(string_agg(message_view(m, v_member.floor), ',' order by (m).id desc), '') || ']'
			|| case when (select count(*) from page) > p_limit then ',"next":"' || min((m).id) || '"' else '' end || '}' from kept;
end $$;

-- Keeps what a message says before it is edited: its first state and the latest 99. Holds the log lock.
create function version_keep(m message) returns void
language sql as $$
	delete from message_version v where v.chat_id = m.chat_id and v.id = m.id and v.rev = (
		select x.rev from message_version x where x.chat_id = m.chat_id and x.id = m.id and x.rev > m.id
			and (select count(*) from message_version y where y.chat_id = m.chat_id and y.id = m.id) >= 100 order by x.rev limit 1);
	insert into message_version (chat_id, id, rev, at, text, content)
		values (m.chat_id, m.id, m.rev, coalesce(m.edited_at, m.at), m.text, m.content) on conflict do nothing;
$$;

-- GET /v1/chats/C/messages/ID/edits: what it has said, the first state first, the present one last.
create function edits(p_me text, p_chat text, p_id bigint) returns table (body text)
language plpgsql stable as $$
declare
	v_message message := message_of(membership(p_me, chat_of(p_me, p_chat)), p_id);
begin
	return query
		select jsonb_build_object('edits', jsonb_agg(jsonb_strip_nulls(jsonb_build_object('at', stamp(e.at), 'text', e.text))
				|| case when e.content is null then '{}' else jsonb_build_object('content', e.content) end order by e.rev))::text
			from (select v.rev, v.at, v.text, v.content from message_version v where v.chat_id = v_message.chat_id and v.id = p_id
				union all
				select v_message.rev, coalesce(v_message.edited_at, v_message.at), v_message.text, v_message.content) e;
end $$;

-- POST /v1/chats/C/messages/ID/report: once a member and message; again: the reason is replaced, if there is one, and what was resolved is
-- open again.
create function report_add(p_me text, p_chat text, p_id bigint, p_reason text) returns table (body text)
language plpgsql as $$
declare
	v_message message := message_of(membership(p_me, chat_of(p_me, p_chat)), p_id);
begin
	insert into report as r (chat_id, message_id, reporter, reason, at, message)
		values (v_message.chat_id, p_id, p_me, nullif(p_reason, ''), clock_timestamp(), message_json(v_message)::jsonb)
		on conflict (chat_id, message_id, reporter) do update set reason = coalesce(excluded.reason, r.reason),
			resolved_at = null, resolved_by = null, message = case when r.resolved_at is null then r.message else excluded.message end;
	return query select null::text;
end $$;

create function report_json(r report) returns text
language sql stable as $$
	select left(jsonb_strip_nulls(jsonb_build_object('id', r.id, 'reporter', r.reporter, 'reason', r.reason, 'at', stamp(r.at),
		'resolved_at', stamp(r.resolved_at), 'resolved_by', r.resolved_by))::text, -1) || ',"message":' || r.message || '}'
$$;

-- GET /v1/admin/reports, by administrators of the server, postern report list: the latest first; the cursor is the last id seen.
-- p_state: open or resolved; null: both.
create function reports(p_me text, p_state text, p_cursor bigint, p_limit int) returns table (body text)
language plpgsql stable as $$
begin
	perform require_admin_or_shell(p_me);
	return query
		with page as (
			select r from report r where r.id < coalesce(p_cursor, 9223372036854775807)
				and (p_state is null or (r.resolved_at is null) = (p_state = 'open')) order by r.id desc limit p_limit + 1
		), kept as (select r from page order by (r).id desc limit p_limit)
		select '{"reports":[' || coalesce(string_agg(report_json(r), ',' order by (r).id desc), '') || ']'
			|| case when (select count(*) from page) > p_limit then ',"next":"' || min((r).id) || '"' else '' end || '}' from kept;
end $$;
