-- SPDX-License-Identifier: MIT
-- Slow mode and the chat's rate limit.

-- Returns null in code if a member's message may be sent at p_at in a chat whose gate is "paced", and counts
-- the message. Otherwise code says why not, and retry_hint is "limit seconds": how many messages a minute are
-- allowed (1 for slow mode), and after how many seconds to try again. Bursts of a sixth of the limit are
-- allowed.
-- Callers: send_one(), send_paced().
-- Locks: the caller holds the log lock.
create function pace_consume(
	p_chat bigint,
	p_sender text,
	p_at timestamptz,
	out code text,
	out retry_hint text
)
language plpgsql as $$
declare
	v_slow interval;
	v_rate int;
	v_last timestamptz;
	v_arrival timestamptz;
	v_tolerance interval; -- for bursts of a sixth of the limit
begin
	select make_interval(secs => c.slow_mode), c.rate_limit into v_slow, v_rate
	from chat c
	where c.id = p_chat;
	select p.at into v_last from pace p where p.chat_id = p_chat and p.name = p_sender;
	if v_last + v_slow > p_at then
		code := 'slow_mode';
		retry_hint := '1 ' || ceil(extract(epoch from v_last + v_slow - p_at));
		return;
	end if;
	if v_rate > 0 then
		v_tolerance := interval '1 minute' / v_rate * (greatest(v_rate / 6, 1) - 1);
		select greatest(p.at, p_at) into v_arrival
		from pace p
		where p.chat_id = p_chat and p.name = '*';
		if v_arrival > p_at + v_tolerance then
			code := 'chat_rate_limited';
			retry_hint := v_rate || ' '
				|| ceil(extract(epoch from v_arrival - v_tolerance - p_at));
			return;
		end if;
		insert into pace
		values (p_chat, '*', coalesce(v_arrival, p_at) + interval '1 minute' / v_rate)
		on conflict (chat_id, name) do update set at = excluded.at;
	end if;
	if v_slow > interval '0' then
		insert into pace
		values (p_chat, p_sender, p_at)
		on conflict (chat_id, name) do update set at = excluded.at;
	end if;
end $$;
