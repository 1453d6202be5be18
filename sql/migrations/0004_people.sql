-- SPDX-License-Identifier: MIT
-- Contacts, blocks and presence.

create table postern.contact (
	name     text collate "C" not null, -- whose list it is
	contact  text collate "C" not null,
	added_at timestamptz not null default clock_timestamp(),
	primary key (name, contact)
);

create table postern.block (
	name       text collate "C" not null, -- who wants to hear nothing
	blocked    text collate "C" not null, -- of whom
	blocked_at timestamptz not null default clock_timestamp(),
	primary key (name, blocked)
);
create index block_blocked on postern.block (blocked);

-- A direct chat with a block between its members: read by every send, hence a column.
alter table postern.chat add column barred boolean not null default false;

-- Who may see whether someone is here: everybody who shares a direct chat or asks, his contacts, or nobody.
alter table postern.account add column presence text not null default 'everybody' check (presence in ('everybody', 'contacts', 'nobody'));

-- Who has a stream open on which worker. Worth nothing after a crash.
create unlogged table postern.present (
	node   text not null,
	worker int not null,
	name   text collate "C" not null,
	primary key (node, worker, name)
);
create index present_name on postern.present (name);

-- When someone was last seen, and whether he has said that he is away.
create table postern.seen (
	name text collate "C" primary key,
	at   timestamptz not null,
	away boolean not null default false
) with (fillfactor = 70);
