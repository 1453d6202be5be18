-- SPDX-License-Identifier: MIT
-- Groups and channels: their settings, invites, the audit trail.

alter table postern.chat
	add column handle text collate "C" unique, -- the public name of a channel; null: it isn't public
	add column posting text not null default 'members' check (posting in ('members', 'admins')), -- who may post, channels apart
	add column adding text not null default 'admins' check (adding in ('members', 'admins', 'owner')), -- who may add members
	add column slow_mode integer not null default 0,    -- seconds between two messages of a plain member; 0: off
	add column rate_limit integer not null default 0,   -- messages a minute of all plain members together; 0: none
	add column members_told integer not null default 0; -- members_count as the latest chat event told it
update postern.chat set members_told = members_count;

-- What a message must pass, so that sending looks at one column of a row that it reads anyway.
alter table postern.chat add column gate text generated always as (case when barred then 'barred' when kind = 'channel' or posting = 'admins' then 'admins'
	when slow_mode > 0 or rate_limit > 0 then 'paced' end) stored;

-- Whether the latest change was told to the member himself only: see crowd().
alter table postern.member add column quiet boolean not null default false;

-- Only for chats with slow mode or a rate: when a member has sent his last message; under the name *, the theoretical arrival time of
-- the next message of anybody (GCRA). A crash may lose it: unlogged.
create unlogged table postern.pace (
	chat_id bigint not null,
	name    text collate "C" not null,
	at      timestamptz not null,
	primary key (chat_id, name)
) with (fillfactor = 70);

-- What lets its bearer into a chat. Only the code's hash is kept; to revoke it is to delete the row.
create table postern.invite (
	chat_id    bigint not null,
	id         bigint not null,    -- counted in its chat
	hash       text collate "C" not null unique,
	created_by text collate "C" not null,
	created_at timestamptz not null,
	expires_at timestamptz,
	max_uses   integer,
	uses       integer not null default 0,
	primary key (chat_id, id)
);

-- Who has done what as an administrator of a chat. Written under the log lock: ascending in time.
create table postern.audit (
	chat_id bigint not null,
	id      bigint not null,       -- counted in its chat: what goes on in others is nobody's business
	at      timestamptz not null,
	actor   text collate "C" not null,
	act     text not null,
	target  text collate "C", -- the member whom it was done to
	details jsonb,
	primary key (chat_id, id)
);
