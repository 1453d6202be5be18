-- SPDX-License-Identifier: MIT
-- GET /v1/me/export, in pieces.

-- The export's lines of a section that is read chat by chat: messages, edits or reactions. A call looks at a
-- few thousand rows and returns a few hundred kB. Deleted chats are left out.
--   p_from  where to start: the chat, and two numbers that depend on the section
--   next    where to go on; null if that was all
-- Caller: export_page().
create function export_chats(
	p_me text,
	p_section text,
	p_from bigint[],
	out lines text,
	out count int,
	out next bigint[]
)
language plpgsql stable as $$
declare
	v_budget int := 5000;
	v_chat bigint := p_from[1];
	v_a bigint := p_from[2];
	v_b bigint := p_from[3];
	v_message message;
	v_version message_version;
	v_reaction reaction;
	v_seen int;
begin
	lines := '';
	count := 0;
	loop
		select m.chat_id into v_chat
		from member m
		join chat c on c.id = m.chat_id and c.state = 'active'
		where m.name = p_me and m.chat_id >= v_chat
		order by m.chat_id
		limit 1;
		if not found then
			return;
		end if;
		if v_chat <> p_from[1] then -- the next chat: from its start
			v_a := 0;
			v_b := 0;
			p_from[1] := v_chat;
		end if;
		v_seen := 0;
		if p_section = 'messages' then
			for v_message in
				select m.*
				from message m
				where m.chat_id = v_chat and m.id > v_a
				order by m.id
				limit v_budget
			loop
				v_seen := v_seen + 1;
				v_a := v_message.id;
				if v_message.sender = p_me then
					lines := lines || export_message(v_message);
					count := count + 1;
					exit when octet_length(lines) > 200000;
				end if;
			end loop;
		elsif p_section = 'edits' then
			for v_version in
				select v.*
				from message_version v
				where v.chat_id = v_chat and (v.id, v.rev) > (v_a, v_b)
				order by v.id, v.rev
				limit v_budget
			loop
				v_seen := v_seen + 1;
				v_a := v_version.id;
				v_b := v_version.rev;
				if exists (
					select
					from message m
					where m.chat_id = v_chat and m.id = v_version.id and m.sender = p_me
				) then
					lines := lines || export_edit(v_version);
					count := count + 1;
					exit when octet_length(lines) > 200000;
				end if;
			end loop;
		else
			for v_reaction in
				select r.*
				from reaction r
				where r.chat_id = v_chat and r.rev > v_a
				order by r.rev
				limit v_budget
			loop
				v_seen := v_seen + 1;
				v_a := v_reaction.rev;
				if v_reaction.name = p_me and v_reaction.active then
					lines := lines
						|| export_line(
							'reaction',
							jsonb_build_object(
								'chat', v_chat,
								'id', v_reaction.message_id,
								'emoji', v_reaction.emoji,
								'at', stamp(v_reaction.at)
							)
						);
					count := count + 1;
					exit when octet_length(lines) > 200000;
				end if;
			end loop;
		end if;
		v_budget := v_budget - v_seen - 10; -- a chat has a cost too
		if v_budget <= 0 or octet_length(lines) > 200000 then
			next := array[v_chat, v_a, v_b];
			return;
		end if;
		v_chat := v_chat + 1;
	end loop;
end $$;

-- One piece of the export: its lines, their number, and the cursor of the next piece (null after the last
-- one).
-- Caller: api/export.c.
-- Errors: 401 unauthorized.
create function export_page(p_me text, p_credential bigint, p_cursor text)
returns table (lines text, count int, next text)
language plpgsql stable as $$
declare
	v_sections constant text[] := array[
		'profile', 'avatar', 'credentials', 'contacts', 'blocks', 'chats', 'messages', 'edits',
		'reactions', 'mentions', 'reports'
	];
	v_most constant int := 500;
	v_section text := coalesce(split_part(p_cursor, ' ', 1), 'profile');
	v_after text := nullif(split_part(p_cursor, ' ', 2), '');
	v_last text;
	v_next bigint[];
begin
	if exists (select from revoked(array[p_credential])) then
		perform refuse('unauthorized');
	end if;
	case v_section
	when 'profile' then
		select export_line('profile', export_account(a)), 1 into lines, count
		from account a
		where a.name = p_me;
	when 'avatar' then
		select string_agg(x.line, ''), count(x.line) into lines, count
		from export_avatar(p_me) as x (line);
	when 'credentials' then
		select string_agg(export_line('credential', credential_json(c)), '' order by c.id),
			count(*), max(c.id)::text
		into lines, count, v_last
		from (
			select x.*
			from credential x
			where x.name = p_me and x.id > coalesce(v_after::bigint, 0)
			order by x.id
			limit v_most
		) c;
	when 'contacts' then
		select
			string_agg(
				export_line(
					'contact',
					jsonb_build_object('name', x.contact, 'added_at', stamp(x.added_at))
				),
				''
				order by x.contact
			),
			count(*), max(x.contact)
		into lines, count, v_last
		from (
			select y.*
			from contact y
			where y.name = p_me and y.contact > coalesce(v_after, '')
			order by y.contact
			limit v_most
		) x;
	when 'blocks' then
		select
			string_agg(
				export_line(
					'block',
					jsonb_build_object(
						'name', x.blocked,
						'blocked_at', stamp(x.blocked_at)
					)
				),
				''
				order by x.blocked
			),
			count(*), max(x.blocked)
		into lines, count, v_last
		from (
			select y.*
			from block y
			where y.name = p_me and y.blocked > coalesce(v_after, '')
			order by y.blocked
			limit v_most
		) x;
	when 'chats' then
		select
			string_agg(export_line('chat', export_chat(p_me, p.c, p.m)), '' order by (p.c).id),
			count(*), max((p.c).id)::text
		into lines, count, v_last
		from (
			select c, m
			from member m
			join chat c on c.id = m.chat_id and c.state = 'active'
			where m.name = p_me and m.chat_id > coalesce(v_after::bigint, 0)
			order by m.chat_id
			limit v_most
		) p;
	when 'mentions' then
		select
			string_agg(
				export_line('mention', jsonb_build_object('chat', x.chat_id, 'id', x.id)),
				''
				order by x.id
			),
			count(*), max(x.id)::text
		into lines, count, v_last
		from (
			select n.chat_id, n.id
			from mention n
			join chat c on c.id = n.chat_id and c.state = 'active'
			where n.name = p_me and n.name <> '@all' and n.id > coalesce(v_after::bigint, 0)
			order by n.id
			limit v_most
		) x;
	when 'reports' then
		select
			string_agg(
				export_line(
					'report',
					jsonb_build_object(
						'chat', x.chat_id,
						'id', x.message_id,
						'reason', x.reason,
						'at', stamp(x.at)
					)
				),
				''
				order by x.id
			),
			count(*), max(x.id)::text
		into lines, count, v_last
		from (
			select r.*
			from report r
			where r.reporter = p_me and r.id > coalesce(v_after::bigint, 0)
			order by r.id
			limit v_most
		) x;
	else
		select e.lines, e.count, e.next into lines, count, v_next
		from export_chats(
			p_me, v_section, coalesce(string_to_array(v_after, ',')::bigint[], '{0,0,0}')
		) e;
		v_last := array_to_string(v_next, ',');
	end case;
	lines := coalesce(lines, '');
	next := case
		when v_last is not null and (count = v_most or v_next is not null)
		then v_section || ' ' || v_last
		else v_sections[array_position(v_sections, v_section) + 1]
	end;
	return next;
end $$;
