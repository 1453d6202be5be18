with i as (insert into bench.naive (chat, sender, text) values (1, 'user1', '@@0000000000000000@@ a message of some length') returning id) select pg_notify('naive', id::text) from i;
