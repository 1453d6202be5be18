-- SPDX-License-Identifier: MIT
-- Blocks.

-- Returns true if one of the two users has blocked the other.
-- Callers: the functions that check or change what two users may see of each other.
create function is_blocked(p_a text, p_b text) returns boolean
language sql stable as $$
	select exists (select from block b where b.name = p_a and b.blocked = p_b)
		or exists (select from block b where b.name = p_b and b.blocked = p_a)
$$;

-- Lists the users whom the caller has blocked, by name. The cursor is the last name of the page before.
-- Caller: GET /v1/blocks.
create function blocks(p_me text, p_cursor text, p_limit int) returns table (body text)
language sql stable as $$
	with page as (
		select x.blocked, x.blocked_at
		from block x
		where x.name = p_me and (p_cursor is null or x.blocked > p_cursor)
		order by x.blocked
		limit p_limit + 1
	), kept as (
		select p.* from page p order by p.blocked limit p_limit
	)
	select jsonb_strip_nulls(jsonb_build_object(
		'blocks', coalesce((
			select jsonb_agg(
				jsonb_build_object('name', k.blocked, 'blocked_at', stamp(k.blocked_at))
				order by k.blocked
			)
			from kept k
		), '[]'),
		'next', case
			when (select count(*) from page) > p_limit then (select max(k.blocked) from kept k)
		end
	))::text
$$;

-- Blocks a user. Neither can write in the direct chat of the two any more, and neither sees the other's
-- presence.
-- Caller: PUT /v1/blocks/{name}.
-- Locks: the log lock, so that no concurrent message follows the block.
-- Errors: 404 not_found; 422 out_of_range.
create function block_put(p_me text, p_name text) returns table (body text)
language plpgsql as $$
declare
	v_was boolean;
begin
	perform require_other_account(p_me, p_name);
	perform log_begin();
	v_was := is_blocked(p_me, p_name);
	insert into block (name, blocked) values (p_me, p_name) on conflict do nothing;
	update chat c set barred = true where c.pair = pair_of(p_me, p_name) and not c.barred;
	if not v_was then
		perform presence_publish_to(p_me, p_name);
		perform presence_publish_to(p_name, p_me);
	end if;
	return query select null::text;
end $$;

-- Removes a block. Succeeds if there is none.
-- Caller: DELETE /v1/blocks/{name}.
-- Locks: the log lock.
create function block_delete(p_me text, p_name text) returns table (body text)
language plpgsql as $$
begin
	perform log_begin();
	delete from block b where b.name = p_me and b.blocked = p_name;
	if not found or is_blocked(p_me, p_name) then
		return query select null::text;
		return;
	end if;
	update chat c set barred = false where c.pair = pair_of(p_me, p_name) and c.barred;
	perform presence_publish_to(p_me, p_name);
	perform presence_publish_to(p_name, p_me);
	return query select null::text;
end $$;
