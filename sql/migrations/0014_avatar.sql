-- SPDX-License-Identifier: MIT
-- Users' pictures.

-- The hash of his picture; null: he has none.
alter table postern.account add column avatar text;

-- Apart from the accounts, whose rows are read all the time. A new picture is a new row, see avatar_put(); of a name one is there.
create table postern.avatar (
	id   bigint generated always as identity primary key,
	name text collate "C" not null,
	hash text not null,
	type text not null, -- its media type
	data bytea not null
);
create index avatar_name on postern.avatar (name);
alter table postern.avatar alter column data set storage external; -- compressed as it is
