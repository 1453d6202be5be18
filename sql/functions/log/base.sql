-- SPDX-License-Identifier: MIT
-- What the other functions stand on: refusals, times, the renderings of entities.

-- Ends the operation. status is the HTTP status, code the stable problem code (it travels as the error's hint),
-- detail a sentence for people. The SQLSTATE is PT and the status.
create function refuse(p_status int, p_code text, p_detail text) returns void
language plpgsql as $$
begin
	raise exception using errcode = 'PT' || p_status, message = p_detail, hint = p_code;
end $$;

-- RFC 3339, UTC, milliseconds.
create function stamp(p_at timestamptz) returns text
language sql stable as $$
	select to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- The JSON of a message, the same for everyone who may see it, on one line. Written out by hand because it is on the path of every send: it
-- costs a third of what jsonb_build_object does. Every argument stands in it once, so that PostgreSQL can inline it.
create function message_text(p_id bigint, p_chat bigint, p_from text, p_at text, p_type text, p_text text, p_content jsonb, p_rev bigint,
	p_reply_to bigint, p_edited_at text, p_thread bigint default null, p_mentions jsonb default null, p_forwarded jsonb default null,
	p_expires_at text default null, p_pinned jsonb default null, p_replies int default null, p_reactions jsonb default null) returns text
language sql stable as $$
	select concat('{"id":', p_id, ',"chat":', p_chat, ',"from":"', p_from, '","at":"', p_at, '"', ',"type":' || to_json(p_type)::text,
		',"text":' || to_json(p_text)::text, ',"content":' || p_content::text, ',"rev":', p_rev, ',"reply_to":' || p_reply_to,
		',"edited_at":"' || p_edited_at || '"', ',"thread":' || p_thread, ',"mentions":' || p_mentions::text,
		',"forwarded":' || p_forwarded::text, ',"expires_at":"' || p_expires_at || '"', ',"pinned":' || p_pinned::text,
		',"replies":' || p_replies, ',"reactions":' || p_reactions::text, '}')
$$;

create function message_json(m message) returns text
language sql stable as $$
	select message_text(m.id, m.chat_id, m.sender, stamp(m.at), m.type, m.text, m.content, m.rev, m.reply_to, stamp(m.edited_at), m.thread,
		m.mentions, m.forwarded, stamp(m.expires_at), m.pinned, m.replies, m.reactions)
$$;

create function tombstone_json(t tombstone) returns text
language sql stable as $$
	select '{"chat":' || t.chat_id || ',"id":' || t.id || ',"rev":' || t.rev || '}'
$$;

-- count: how many have reacted to the message with that emoji now.
create function reaction_json(r reaction) returns text
language sql stable as $$
	select jsonb_build_object('chat', r.chat_id, 'id', r.message_id, 'from', r.name, 'emoji', r.emoji, 'on', r.active, 'rev', r.rev,
		'count', coalesce((select (m.reactions ->> r.emoji)::int from message m where m.chat_id = r.chat_id and m.id = r.message_id), 0))::text
$$;

create function chat_json(c chat) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object('id', c.id, 'kind', c.kind, 'title', c.title, 'history', c.history,
		'state', c.state, 'members_count', c.members_count, 'created_at', stamp(c.created_at), 'created_by', c.created_by,
		'handle', c.handle, 'posting', case c.kind when 'group' then c.posting when 'channel' then 'admins' end,
		'adding', case when c.kind <> 'direct' then c.adding end, 'slow_mode', nullif(c.slow_mode, 0), 'rate_limit', nullif(c.rate_limit, 0),
		'message_ttl', c.message_ttl, 'retention', c.retention, 'system_messages', c.system_messages,
		'rev', c.rev))
$$;

create function member_json(m member) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object('chat', m.chat_id, 'name', m.name, 'role', m.role, 'state', m.state,
		'muted_until', stamp(m.muted_until), 'rev', m.rev))
$$;

create function account_json(a account) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object('name', a.name, 'display_name', a.display_name, 'about', a.about, 'avatar', a.avatar,
		'state', a.state, 'rev', a.rev))
$$;
