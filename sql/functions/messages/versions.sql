-- SPDX-License-Identifier: MIT
-- Former versions of edited messages.

-- Keeps what a message says before it is edited: its first version and the latest 99.
-- Caller: message_edit().
-- Locks: the caller holds the log lock.
create function version_keep(m message) returns void
language sql as $$
	delete from message_version v
	where v.chat_id = m.chat_id
		and v.id = m.id
		and v.rev = (
			select x.rev
			from message_version x
			where x.chat_id = m.chat_id
				and x.id = m.id
				and x.rev > m.id
				and (
					select count(*)
					from message_version y
					where y.chat_id = m.chat_id and y.id = m.id
				) >= 100
			order by x.rev
			limit 1
		);
	insert into message_version (chat_id, id, rev, at, text, content)
	values (m.chat_id, m.id, m.rev, coalesce(m.edited_at, m.at), m.text, m.content)
	on conflict do nothing;
$$;

-- Lists the versions of a message, the first one first, the present one last.
-- Caller: GET /v1/chats/{chat}/messages/{id}/edits.
-- Errors: 404 not_found; 410 gone.
create function edits(p_me text, p_chat text, p_id bigint) returns table (body text)
language plpgsql stable as $$
declare
	v_message message := message_of(membership(p_me, chat_of(p_me, p_chat)), p_id);
begin
	return query
		select jsonb_build_object(
			'edits', jsonb_agg(
				jsonb_strip_nulls(jsonb_build_object('at', stamp(e.at), 'text', e.text))
					|| case
						when e.content is null then '{}'
						else jsonb_build_object('content', e.content)
					end
				order by e.rev
			)
		)::text
		from (
			select v.rev, v.at, v.text, v.content
			from message_version v
			where v.chat_id = v_message.chat_id and v.id = p_id
			union all
			select v_message.rev, coalesce(v_message.edited_at, v_message.at), v_message.text,
				v_message.content
		) e;
end $$;
