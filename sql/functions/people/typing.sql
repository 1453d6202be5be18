-- SPDX-License-Identifier: MIT
-- Typing and signals: live events that are relayed and never stored. Both functions take many requests in one
-- call.

-- Publishes that users are typing. Users who may not write in the chat get the code of the reason.
--   p_again  't': published a moment ago, so it isn't published again
-- Caller: POST /v1/chats/{chat}/typing.
create function typing(p_me text[], p_chat text[], p_again text[])
returns table (code text, detail text, body text)
language plpgsql as $$
declare
	v_code text[];
	v_lines text;
begin
	perform commit_without_sync();
	with checked as (
		select i.ord, i.me, i.again = 't' as again, c.id as chat,
			nullif(
				send_refusal(
					clock_timestamp(), m.state, m.role, m.muted_until, m.floor, c.state,
					c.gate, null, true
				),
				'paced'
			) as code
		from unnest(p_me, p_chat, p_again) with ordinality i (me, chat, again, ord)
		left join member m on m.chat_id = chat_named(i.me, i.chat) and m.name = i.me
		left join chat c on c.id = m.chat_id
	)
	select array_agg(j.code order by j.ord),
		string_agg(
			case
				when j.code is null and not j.again
				then live_line(
					'typing', j.chat::text, null, j.me,
					concat('{"chat":', j.chat, ',"name":"', j.me, '","expires_in":6}')
				)
			end,
			''
		)
	into v_code, v_lines
	from checked j;
	perform live_append(v_lines);
	return query select c, null::text, null::text from unnest(v_code) c;
end $$;

-- Publishes a signal to the devices of a chat's members, or of one member (p_to). The sender's other devices
-- receive it too: a call that is taken on one of them stops ringing on the others.
-- Caller: POST /v1/chats/{chat}/signal.
create function signal(p_me text[], p_chat text[], p_type text[], p_data text[], p_to text[])
returns table (code text, detail text, body text)
language plpgsql as $$
declare
	v_code text[];
	v_lines text;
begin
	perform commit_without_sync();
	with checked as (
		select i.*, c.id as number, c.members_count,
			case
				when m.state is distinct from 'joined' or c.state is distinct from 'active'
				then 'not_found'
				when c.barred
					or exists (
						select
						from block b
						where b.name = i.recipient and b.blocked = i.me
					)
				then 'blocked'
				when i.recipient is null and c.members_count > signal_broadcast_max()
				then 'too_many_members'
				when i.recipient is not null
					and not exists (
						select
						from member o
						where o.chat_id = c.id
							and o.name = i.recipient
							and o.state = 'joined'
					)
				then 'unknown_user'
			end as code
		from unnest(p_me, p_chat, p_type, p_data, p_to) with ordinality i (
			me, chat, type, data, recipient, ord
		)
		left join member m on m.chat_id = chat_named(i.me, i.chat) and m.name = i.me
		left join chat c on c.id = m.chat_id
	)
	select array_agg(j.code order by j.ord),
		string_agg(
			case
				when j.code is null then live_line(
					'signal', case when j.recipient is null then j.number::text end,
					case
						when j.recipient is not null then concat_ws(
							',', j.recipient,
							case when j.recipient <> j.me then j.me end
						)
					end,
					null,
					concat(
						'{"chat":', j.number, ',"from":"', j.me, '"',
						',"to":"' || j.recipient || '"', ',"type":',
						to_json(j.type), ',"data":', j.data::jsonb, '}'
					)
				)
			end,
			''
		)
	into v_code, v_lines
	from checked j;
	perform live_append(v_lines);
	return query
		select c,
			case c
				when 'too_many_members' then format(
					'In a chat of more than %s members a signal needs "to".',
					signal_broadcast_max()
				)
				when 'unknown_user' then 'to is no member of this chat.'
			end,
			null::text
		from unnest(v_code) c;
end $$;

-- In a chat with more members than this, a signal needs a recipient.
-- Caller: signal().
create function signal_broadcast_max() returns int
language sql immutable as $$ select 32 $$;
