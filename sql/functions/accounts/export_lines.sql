-- SPDX-License-Identifier: MIT
-- The lines of GET /v1/me/export, a user's own data. They contain nothing that others wrote: no forwarded text
-- and no reported message.

-- One line of the export. Null members of p_data are left out.
-- Callers: export_avatar(), export_chats(), export_edit(), export_message(), export_page().
create function export_line(p_kind text, p_data jsonb) returns text
language sql stable as $$
	select concat('{"kind":"', p_kind, '","data":', jsonb_strip_nulls(p_data)::text, E'}\n')
$$;

-- The JSON of an account in the export.
-- Caller: export_page().
create function export_account(a account) returns jsonb
language sql stable as $$
	select me_json(a)
		|| jsonb_build_object(
			'created_at', stamp(a.created_at),
			'has_password', a.password_hash is not null,
			'last_seen', (select stamp(s.at) from seen s where s.name = a.name)
		)
$$;

-- The JSON of a chat in the export. Of a chat that the user has left, it says only that they were a member.
-- Caller: export_page().
create function export_chat(p_me text, c chat, m member) returns jsonb
language sql stable as $$
	select jsonb_build_object(
			'id', c.id,
			'kind', c.kind,
			'state', m.state,
			'muted_until', stamp(m.muted_until),
			'read', w.read,
			'delivered', w.delivered
		)
		|| case
			when m.state = 'joined' then jsonb_build_object(
				'title', c.title,
				'created_at', stamp(c.created_at),
				'members_count', c.members_count,
				'role', m.role,
				'peer', case
					when c.kind = 'direct' then coalesce((
						select x
						from unnest(string_to_array(c.pair, ' ')) x
						where x <> p_me
						limit 1
					), p_me)
				end
			)
			else '{}'
		end
	from (values (1)) one
	left join watermark w on w.chat_id = c.id and w.name = p_me
$$;

-- The export's line of a message. content is appended as text, because export_line() would remove the nulls in
-- it, which are the sender's.
-- Caller: export_chats().
create function export_message(m message) returns text
language sql stable as $$
	select concat(
		left(
			export_line(
				'message',
				jsonb_build_object(
					'chat', m.chat_id,
					'id', m.id,
					'at', stamp(m.at),
					'type', m.type,
					'text', case when x.is_own then m.text end,
					'reply_to', m.reply_to,
					'edited_at', stamp(m.edited_at),
					'mentions', m.mentions,
					'forwarded', m.forwarded,
					'expires_at', stamp(m.expires_at)
				)
			),
			-3
		),
		',"content":' || case when x.is_own then m.content end::text, E'}}\n'
	)
	from (select m.forwarded is null or m.forwarded ->> 'from' = m.sender as is_own) x
$$;

-- The export's line of a former version of a message.
-- Caller: export_chats().
create function export_edit(v message_version) returns text
language sql stable as $$
	select concat(
		left(
			export_line(
				'edit',
				jsonb_build_object(
					'chat', v.chat_id,
					'id', v.id,
					'at', stamp(v.at),
					'text', v.text
				)
			),
			-3
		),
		',"content":' || v.content::text, E'}}\n'
	)
$$;
