-- SPDX-License-Identifier: MIT
-- Reports of messages.

-- Reports a message, once a member and message. A second report replaces the reason, if it has one, and opens
-- a resolved report again.
-- Caller: POST /v1/chats/{chat}/messages/{id}/report.
-- Errors: 404 not_found; 410 gone.
create function report_add(p_me text, p_chat text, p_id bigint, p_reason text) returns table (body text)
language plpgsql as $$
declare
	v_message message := message_of(membership(p_me, chat_of(p_me, p_chat)), p_id);
begin
	insert into report as r (chat_id, message_id, reporter, reason, at, message)
	values (
		v_message.chat_id, p_id, p_me, nullif(p_reason, ''), clock_timestamp(),
		message_json(v_message)::jsonb
	)
	on conflict (chat_id, message_id, reporter) do update
	set reason = coalesce(excluded.reason, r.reason), resolved_at = null, resolved_by = null,
		message = case when r.resolved_at is null then r.message else excluded.message end;
	return query select null::text;
end $$;

-- The JSON of a report, with the message as it was reported.
-- Callers: report_resolve(), reports().
create function report_json(r report) returns text
language sql stable as $$
	select left(
			jsonb_strip_nulls(jsonb_build_object(
				'id', r.id,
				'reporter', r.reporter,
				'reason', r.reason,
				'at', stamp(r.at),
				'resolved_at', stamp(r.resolved_at),
				'resolved_by', r.resolved_by
			))::text,
			-1
		)
		|| ',"message":' || r.message || '}'
$$;

-- Lists reports, the latest first, for administrators. The cursor is the last id of the page before.
--   p_state  "open" or "resolved"; null: both
-- Callers: GET /v1/admin/reports, cli/moderation.c.
-- Errors: 403 forbidden.
create function reports(p_me text, p_state text, p_cursor bigint, p_limit int) returns table (body text)
language plpgsql stable as $$
begin
	perform require_admin_or_shell(p_me);
	return query
		with page as (
			select r
			from report r
			where r.id < coalesce(p_cursor, 9223372036854775807)
				and (p_state is null or (r.resolved_at is null) = (p_state = 'open'))
			order by r.id desc
			limit p_limit + 1
		), kept as (
			select r from page order by (r).id desc limit p_limit
		)
		select '{"reports":[' || coalesce(string_agg(report_json(r), ',' order by (r).id desc), '')
			|| ']'
			|| case
				when (select count(*) from page) > p_limit then
					',"next":"' || min((r).id) || '"'
				else ''
			end
			|| '}'
		from kept;
end $$;

-- Resolves a report. Resolving it again changes nothing. With p_action "delete_message" the message is deleted
-- if it still exists. What was reported is kept until the chat's retention removes it.
-- Callers: POST /v1/admin/reports/{id}/resolve, cli/moderation.c.
-- Locks: the log lock with p_action "delete_message".
-- Errors: 403 forbidden; 404 not_found.
create function report_resolve(p_me text, p_id bigint, p_action text)
returns table (pos bigint, body text)
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
	update report r
	set resolved_at = clock_timestamp(), resolved_by = coalesce(p_me, 'server')
	where r.id = p_id and r.resolved_at is null
	returning * into v_report;
	if found then
		perform admin_audit_add(
			coalesce(p_me, 'server'), 'report_resolved', null,
			jsonb_build_object(
				'report', p_id,
				'chat', v_report.chat_id,
				'id', v_report.message_id,
				'action', p_action
			)
		);
		update retention_due d
		set due_at = clock_timestamp()
		where d.chat_id = v_report.chat_id and d.due_at > clock_timestamp();
	else
		select * into v_report from report r where r.id = p_id;
		if not found then
			perform refuse_absent();
		end if;
	end if;
	if p_action = 'delete_message' then
		select m.* into v_message
		from message m
		join chat c on c.id = m.chat_id and c.state = 'active'
		where m.chat_id = v_report.chat_id and m.id = v_report.message_id;
		if found then
			pos := v.head + 1;
			perform audit_add(
				v_message.chat_id, v.at, coalesce(p_me, 'server'), 'message_deleted',
				v_message.sender, jsonb_build_object('id', v_message.id)
			);
			perform admin_audit_add(
				coalesce(p_me, 'server'), 'message_deleted', v_message.sender,
				jsonb_build_object(
					'report', p_id,
					'chat', v_message.chat_id,
					'id', v_message.id
				)
			);
			perform log_append(pos, pos, v.at, message_remove(v_message, pos));
		end if;
	end if;
	body := report_json(v_report);
	return next;
end $$;
