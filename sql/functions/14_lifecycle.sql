-- SPDX-License-Identifier: MIT
-- Credentials that are used.

-- Caller: a worker, every so often, of the credentials p_ids that were used just now; an address that is null is as it was. What another
-- worker is at is left to it. A crash may take it.
create function credentials_used(p_ids bigint[], p_addresses text[], p_agents text[]) returns void
language plpgsql as $$
begin
	perform live_only();
	with used as (
		select distinct on (u.id) u.id, u.address, u.agent from unnest(p_ids, p_addresses, p_agents) as u (id, address, agent) order by u.id
	), free as (
		select c.id from credential c where c.id = any (p_ids) and (c.last_used_at is null or c.last_used_at < clock_timestamp() - interval '1 minute')
			order by c.id for no key update skip locked
	)
	update credential c set last_used_at = clock_timestamp(), last_address = coalesce(u.address, c.last_address),
			user_agent = case when u.address is null then c.user_agent else u.agent end
		from used u, free f where f.id = u.id and c.id = u.id;
end $$;
