-- SPDX-License-Identifier: MIT
-- The JSON of each entity. Events, GET and sync all use these functions, so that an entity looks the same
-- everywhere.

-- The JSON of a message on one line, the same for everyone who may see the message. It is built by hand
-- because every send calls it: this takes a third of the time that jsonb_build_object() takes. Each argument
-- occurs once, so that PostgreSQL can inline the function.
-- Callers: message_json(), message_store(), send().
create function message_text(
	p_id bigint,
	p_chat bigint,
	p_from text,
	p_at text,
	p_type text,
	p_text text,
	p_content jsonb,
	p_rev bigint,
	p_reply_to bigint,
	p_edited_at text,
	p_thread bigint default null,
	p_mentions jsonb default null,
	p_forwarded jsonb default null,
	p_expires_at text default null,
	p_pinned jsonb default null,
	p_replies int default null,
	p_reactions jsonb default null
) returns text
language sql stable as $$
	select concat(
		'{"id":', p_id, ',"chat":', p_chat, ',"from":"', p_from, '","at":"', p_at, '"',
		',"type":' || to_json(p_type)::text, ',"text":' || to_json(p_text)::text,
		',"content":' || p_content::text, ',"rev":', p_rev, ',"reply_to":' || p_reply_to,
		',"edited_at":"' || p_edited_at || '"', ',"thread":' || p_thread,
		',"mentions":' || p_mentions::text, ',"forwarded":' || p_forwarded::text,
		',"expires_at":"' || p_expires_at || '"', ',"pinned":' || p_pinned::text,
		',"replies":' || p_replies, ',"reactions":' || p_reactions::text, '}'
	)
$$;

-- The JSON of a message's row.
-- Callers: the functions that answer with a message or publish one.
create function message_json(m message) returns text
language sql stable as $$
	select message_text(
		m.id, m.chat_id, m.sender, stamp(m.at), m.type, m.text, m.content, m.rev, m.reply_to,
		stamp(m.edited_at), m.thread, m.mentions, m.forwarded, stamp(m.expires_at), m.pinned,
		m.replies, m.reactions
	)
$$;

-- The JSON of a deleted message.
-- Callers: log_frames(), message_remove(), replay().
create function tombstone_json(t tombstone) returns text
language sql stable as $$
	select '{"chat":' || t.chat_id || ',"id":' || t.id || ',"rev":' || t.rev || '}'
$$;

-- The JSON of a reaction. count is the number of members whose reaction to the message with this emoji is
-- active now.
-- Callers: reaction_line(), reaction_put(), replay().
create function reaction_json(r reaction) returns text
language sql stable as $$
	select jsonb_build_object(
		'chat', r.chat_id,
		'id', r.message_id,
		'from', r.name,
		'emoji', r.emoji,
		'on', r.active,
		'rev', r.rev,
		'count', coalesce((
			select (m.reactions ->> r.emoji)::int
			from message m
			where m.chat_id = r.chat_id and m.id = r.message_id
		), 0)
	)::text
$$;

-- The JSON of a chat, without what differs between its members (see chat_view_json()).
-- Callers: admin_chat_json(), chat_line(), chat_view_json(), replay().
create function chat_json(c chat) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object(
		'id', c.id,
		'kind', c.kind,
		'title', c.title,
		'history', c.history,
		'state', c.state,
		'members_count', c.members_count,
		'created_at', stamp(c.created_at),
		'created_by', c.created_by,
		'handle', c.handle,
		'posting', case c.kind when 'group' then c.posting when 'channel' then 'admins' end,
		'adding', case when c.kind <> 'direct' then c.adding end,
		'slow_mode', nullif(c.slow_mode, 0),
		'rate_limit', nullif(c.rate_limit, 0),
		'message_ttl', c.message_ttl,
		'retention', c.retention,
		'system_messages', c.system_messages,
		'rev', c.rev
	))
$$;

-- The JSON of a membership.
-- Callers: the functions that list or change members, member_line(), replay().
create function member_json(m member) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object(
		'chat', m.chat_id,
		'name', m.name,
		'role', m.role,
		'state', m.state,
		'muted_until', stamp(m.muted_until),
		'rev', m.rev
	))
$$;

-- The JSON of an account as other users see it.
-- Callers: the functions that answer with an account or publish one.
create function account_json(a account) returns jsonb
language sql stable as $$
	select jsonb_strip_nulls(jsonb_build_object(
		'name', a.name,
		'display_name', a.display_name,
		'about', a.about,
		'avatar', a.avatar,
		'state', a.state,
		'rev', a.rev
	))
$$;
