-- SPDX-License-Identifier: MIT
-- Chats and reports, as administrators see them: who is in a chat, and what was brought before them, but not what is written there.

-- What its members see of it; of a direct chat, between whom it is; and what was said of its retention alone.
create function admin_chat_json(c chat) returns jsonb
language sql stable as $$
	select chat_json(c) || jsonb_strip_nulls(jsonb_build_object('between', string_to_array(c.pair, ' '), 'retention_own', c.retention_own))
$$;

create function admin_chat_of(p_chat bigint) returns chat
language plpgsql stable as $$
declare
	v_chat chat;
begin
	select * into v_chat from chat c where c.id = p_chat and c.state = 'active';
	if not found then
		perform refuse_absent();
	end if;
	return v_chat;
end $$;

-- GET /v1/admin/chats/C, postern chat show
create function admin_chat_get(p_me text, p_chat bigint) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	return query select admin_chat_json(admin_chat_of(p_chat))::text;
end $$;

-- GET /v1/admin/chats/C/members, postern chat show: by name; the cursor is the last name seen.
create function admin_chat_members(p_me text, p_chat bigint, p_state text, p_cursor text, p_limit int) returns table (body text)
language plpgsql as $$
begin
	perform require_admin_or_shell(p_me);
	perform admin_chat_of(p_chat);
	return query
		with page as (
			select m from member m where m.chat_id = p_chat and m.state = p_state and (p_cursor is null or m.name > p_cursor)
				order by m.name limit p_limit + 1
		), kept as (select m from page order by (m).name limit p_limit)
		select jsonb_strip_nulls(jsonb_build_object('members', coalesce(jsonb_agg(member_json(m) order by (m).name), '[]'),
			'next', case when (select count(*) from page) > p_limit then max((m).name) end))::text from kept;
end $$;

-- POST /v1/admin/reports/ID/resolve, postern report resolve: it has been dealt with. Again: it stays as it was. p_action delete_message:
-- the message goes, if it is still there. What was reported of it goes once its chat's retention says so; until then it is kept.
-- Lock: the log, when something is deleted.
create function report_resolve(p_me text, p_id bigint, p_action text) returns table (pos bigint, body text)
language plpgsql as $$
declare
	v record;
	v_report report;
	v_message message;
begin
	if p_action = 'delete_message' then
		v := log_begin();
	end if;
	perform require_admin_or_shell(p_me);
	update report r set resolved_at = clock_timestamp(), resolved_by = coalesce(p_me, 'server')
		where r.id = p_id and r.resolved_at is null returning * into v_report;
	if found then
		perform admin_audit_add(coalesce(p_me, 'server'), 'report_resolved', null,
			jsonb_build_object('report', p_id, 'chat', v_report.chat_id, 'id', v_report.message_id, 'action', p_action));
		update retention_due d set due_at = clock_timestamp() where d.chat_id = v_report.chat_id and d.due_at > clock_timestamp();
	else
		select * into v_report from report r where r.id = p_id;
		if not found then
			perform refuse_absent();
		end if;
	end if;
	if p_action = 'delete_message' then
		select m.* into v_message from message m join chat c on c.id = m.chat_id and c.state = 'active'
			where m.chat_id = v_report.chat_id and m.id = v_report.message_id;
		if found then
			pos := v.head + 1;
			perform audit_add(v_message.chat_id, v.at, coalesce(p_me, 'server'), 'message_deleted', v_message.sender,
				jsonb_build_object('id', v_message.id));
			perform admin_audit_add(coalesce(p_me, 'server'), 'message_deleted', v_message.sender,
				jsonb_build_object('report', p_id, 'chat', v_message.chat_id, 'id', v_message.id));
			perform log_append(pos, pos, v.at, message_remove(v_message, pos));
		end if;
	end if;
	body := report_json(v_report);
	return next;
end $$;
