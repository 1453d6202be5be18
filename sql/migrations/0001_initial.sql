-- SPDX-License-Identifier: MIT
-- The first tables. Applied once, in the schema postern; never edited after a release: what comes later is a new file.
--
-- Two sides that never share a foreign key or a join that writes: accounts (account, credential, ticket) and
-- chats (chat, member, message, …). Users are named by their immutable name on both. Every key on the message side
-- begins with chat_id, so that a chat can one day live on another primary.

-- What the installation knows about itself: epoch, system_identifier, timeline, horizon, min_version.
create table postern.meta (
	key   text primary key,
	value text not null
);

-- The log: one row a transaction that changed anything synchronised. The last row is the head; all rows together are the
-- map from time to position. Insert-only, because one row updated for ever bloats under any open snapshot.
create table postern.log_batch (
	upto bigint primary key,
	at   timestamptz not null
);
insert into postern.log_batch values (0, clock_timestamp());
insert into postern.meta values ('horizon', '0');

create table postern.account (
	name          text primary key check (name ~ '^[a-z0-9][a-z0-9_.-]{1,31}$'),
	display_name  text,
	admin         boolean not null default false,
	state         text not null default 'active' check (state in ('active', 'disabled', 'deleted')),
	password_hash text,
	created_at    timestamptz not null,
	rev           bigint not null
);
create index account_rev on postern.account (rev);

-- What proves who someone is: tokens made by a person, and sessions made by signing in. Only hashes are kept.
create table postern.credential (
	id         bigint generated always as identity primary key,
	hash       text not null unique,
	name       text not null,
	kind       text not null check (kind in ('token', 'session')),
	label      text,
	created_at timestamptz not null default clock_timestamp(),
	expires_at timestamptz
);
create index credential_name on postern.credential (name);

-- Single-use tickets for addresses that can't carry a header (EventSource). A crash may lose them: unlogged.
create unlogged table postern.ticket (
	hash          text primary key,
	credential_id bigint not null,
	expires_at    timestamptz not null
);

create sequence postern.chat_id;

create table postern.chat (
	id            bigint primary key,
	kind          text not null check (kind in ('direct', 'group', 'channel')),
	title         text,
	pair          text unique,  -- direct chats: both names in order, one space between
	history       text not null default 'all' check (history in ('all', 'joined')), -- what a new member may read
	state         text not null default 'active' check (state in ('active', 'deleted')),
	members_count integer not null,
	created_at    timestamptz not null,
	created_by    text not null,
	rev           bigint not null
);
create index chat_rev on postern.chat (rev);

create table postern.member (
	chat_id     bigint not null,
	name        text not null,
	role        text not null default 'member' check (role in ('owner', 'admin', 'member')),
	state       text not null check (state in ('joined', 'left', 'kicked', 'banned')),
	muted_until timestamptz,
	since       bigint not null,             -- the position of joining: events start after it
	floor       bigint not null default 0,   -- messages up to it are hidden from this member
	rev         bigint not null,
	primary key (chat_id, name)
);
create index member_name on postern.member (name, chat_id);
create index member_rev on postern.member (rev);

-- id is the position at which the message was born, rev that of its latest change.
create table postern.message (
	chat_id   bigint not null,
	id        bigint not null,
	rev       bigint not null,
	sender    text not null,
	at        timestamptz not null,
	type      text,
	text      text,
	content   jsonb,
	reply_to  bigint,
	edited_at timestamptz,
	primary key (chat_id, id)
);
create index message_rev on postern.message (rev);
create index message_edited on postern.message (chat_id, rev) where rev > id; -- the unedited are found by id

-- A message that is gone. Nothing of its content stays.
create table postern.tombstone (
	chat_id bigint not null,
	id      bigint not null,
	rev     bigint not null,
	primary key (chat_id, id)
);
create index tombstone_rev on postern.tombstone (rev);
create index tombstone_chat_rev on postern.tombstone (chat_id, rev);

-- Every send has a key, so that a repeated or an unconfirmed one can be looked up.
create table postern.message_key (
	chat_id bigint not null,
	sender  text not null,
	key     text not null,
	id      bigint not null,
	hash    text not null,
	primary key (chat_id, sender, key)
);
create index message_key_id on postern.message_key using brin (id); -- expiry only; insertion is in the order of id

-- How far someone has received and read: a number a member, not a row a message.
create table postern.watermark (
	chat_id   bigint not null,
	name      text not null,
	delivered bigint not null default 0,
	read      bigint not null default 0,
	primary key (chat_id, name)
) with (fillfactor = 70);

-- A node is one supervisor with its workers; its silence tells the others that it is gone.
create table postern.node (
	name       text primary key,
	functions  text not null, -- the schema of the functions it calls
	started_at timestamptz not null default clock_timestamp(),
	seen_at    timestamptz not null default clock_timestamp()
);

-- An item of a batch on its way through the function send().
create type postern.sending as (
	ord bigint, chat bigint, sender text, key text, hash text, text text, type text, content text, reply_to bigint, received bigint,
	known_id bigint, known_hash text, refusal int, muted boolean, new_id bigint
);
create index log_batch_at on postern.log_batch using brin (at);
