-- SPDX-License-Identifier: MIT
-- The naive design, for pgbench: each message is one transaction with a row and a notification. It is one statement,
-- so that pgbench can prepare it (-M prepared).
with i as (
	insert into bench.naive (chat, sender, text)
	values (1, 'user1', '@@0000000000000000@@ a message of some length')
	returning id
)
select pg_notify('naive', id::text) from i;
