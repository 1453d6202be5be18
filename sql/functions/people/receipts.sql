-- SPDX-License-Identifier: MIT
-- Receipts: how far a member has received and read a chat. There is one watermark a member and chat; its
-- changes are live events.

-- Up to this number of members, receipts say who has received and read a message. In a larger chat its author
-- learns only how many.
-- Callers: mark(), message_receipts(), receipts().
create function receipts_names_max() returns int
language sql immutable as $$ select 100 $$;

-- A watermark that has moved.
create type watermark_change as (
	chat_id bigint,
	name text,
	is_read boolean, -- "read" has moved, else "delivered"
	was bigint,
	is_now bigint,
	is_large boolean -- the chat has more members than receipts_names_max()
);

-- The members who have received a message, and their watermark "read". Members who can't see the message,
-- because they joined later, don't count.
-- Callers: message_receipts(), received_by().
create function receivers(p_chat bigint, p_id bigint, p_sender text)
returns table (name text, read bigint)
language sql stable as $$
	select w.name, w.read
	from watermark w
	join member m on m.chat_id = w.chat_id and m.name = w.name
	where w.chat_id = p_chat
		and w.delivered >= p_id
		and w.name <> p_sender
		and m.state = 'joined'
		and m.floor < p_id
$$;

-- How many members have received (p_read: read) a message. For live events, of which a large chat has many. If
-- new members see the whole history, the watermarks alone give the number, because a member who leaves leaves
-- no watermark behind.
-- Caller: mark().
create function received_by(p_chat bigint, p_id bigint, p_sender text, p_read boolean) returns bigint
language sql stable as $$
	select case
		when (select c.history from chat c where c.id = p_chat) = 'all' then (
			select count(*)
			from watermark w
			where w.chat_id = p_chat
				and w.name <> p_sender
				and case when p_read then w.read else w.delivered end >= p_id
		)
		else (
			select count(*)
			from receivers(p_chat, p_id, p_sender) r
			where not p_read or r.read >= p_id
		)
	end
$$;

-- Lists the watermarks of a chat's members. In a large chat the caller sees only their own.
-- Caller: GET /v1/chats/{chat}/receipts.
-- Errors: 404 not_found.
create function receipts(p_me text, p_chat text) returns table (body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
	v_is_large boolean := (
		select c.members_count > receipts_names_max() from chat c where c.id = v_member.chat_id
	);
begin
	return query
		select jsonb_build_object(
			'receipts', coalesce(
				jsonb_agg(
					jsonb_build_object(
						'name', w.name,
						'delivered', w.delivered,
						'read', w.read
					)
					order by w.name
				),
				'[]'
			)
		)::text
		from watermark w
		join member m on m.chat_id = w.chat_id and m.name = w.name and m.state = 'joined'
		where w.chat_id = v_member.chat_id and (not v_is_large or w.name = p_me);
end $$;

-- How many members have received and read a message, and in a small chat who. Only its author may ask.
-- Caller: GET /v1/chats/{chat}/messages/{id}/receipts.
-- Errors: 403 forbidden; 404 not_found; 410 gone.
create function message_receipts(p_me text, p_chat text, p_id bigint) returns table (body text)
language plpgsql stable as $$
declare
	v_member member := membership(p_me, chat_of(p_me, p_chat));
	v_message message := message_of(v_member, p_id);
	v_is_large boolean := (
		select c.members_count > receipts_names_max() from chat c where c.id = v_member.chat_id
	);
begin
	if v_message.sender <> p_me then
		perform refuse('forbidden', 'Only who wrote a message may ask who has read it.');
	end if;
	return query
		select jsonb_strip_nulls(jsonb_build_object(
			'delivered', count(*),
			'read', count(*) filter (where r.read >= p_id),
			'delivered_to', case
				when not v_is_large then coalesce(jsonb_agg(r.name order by r.name), '[]')
			end,
			'read_by', case
				when not v_is_large then coalesce(
					jsonb_agg(r.name order by r.name) filter (where r.read >= p_id),
					'[]'
				)
			end
		))::text
		from receivers(v_member.chat_id, p_id, p_me) r;
end $$;
