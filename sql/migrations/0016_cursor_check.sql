-- SPDX-License-Identifier: MIT
-- A cursor says in which history its position lies: see log_check() in sql/functions/01_log.sql.

-- A random number for each row, so that two histories never hold the same one, whatever their clocks say. Rows from before this have none.
alter table postern.log_batch add column mark integer;
alter table postern.log_batch alter column mark set default (random() * 4294967295 - 2147483648)::integer;

-- Cursors from before this carry no check. They are good up to here: a history that splits off later shares everything up to this position.
insert into postern.meta select 'unchecked', max(upto)::text from postern.log_batch;

-- The epoch is made with the tables and stays with them, wherever they are restored.
insert into postern.meta
	values ('epoch', substr(translate(encode(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()), 'base64'), '+/=' || E'\n', ''), 1, 8))
	on conflict (key) do nothing;
