-- SPDX-License-Identifier: MIT
-- The naive design, for pgbench: a row and a notification in a transaction of their own. One statement, prepared
-- (-M prepared).
with i as (
	insert into bench.naive (chat, sender, text)
	values (1, 'user1', '@@0000000000000000@@ a message of some length')
	returning id
)
select pg_notify('naive', id::text) from i;
