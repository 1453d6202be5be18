-- SPDX-License-Identifier: MIT
-- Reactions, threads, mentions, pins, forwards, versions, messages that run out, reports.

-- What most messages don't have is null and takes no room.
alter table postern.message
	add column thread     bigint,      -- the first message of the thread that this is a reply in
	add column replies    integer,     -- in the thread that this is the first of
	add column last_reply bigint,      -- the latest of them
	add column reactions  jsonb,       -- emoji → how many
	add column mentions   jsonb,       -- the names of those who are mentioned, @all being everybody
	add column forwarded  jsonb,       -- from whom and when, if it was said elsewhere
	add column pinned     jsonb,       -- by whom and when
	add column expires_at timestamptz;
create index message_thread on postern.message (chat_id, thread, id) where thread is not null;
create index message_root on postern.message (chat_id, last_reply) where last_reply is not null;
create index message_pinned on postern.message (chat_id, id) where pinned is not null;
create index message_expiry on postern.message (expires_at) where expires_at is not null;

alter table postern.chat
	add column message_ttl integer check (message_ttl > 0), -- seconds that a message stays; null: for good
	add column system_messages text not null default 'none' check (system_messages in ('all', 'none'));

-- Who reacted with what. One that was taken back stays, inactive, until the horizon has passed it.
create table postern.reaction (
	chat_id    bigint not null,
	message_id bigint not null,
	emoji      text collate "C" not null,
	name       text collate "C" not null,
	active     boolean not null,
	at         timestamptz not null,
	rev        bigint not null,
	primary key (chat_id, message_id, emoji, name)
);
create index reaction_rev on postern.reaction (rev);
create index reaction_chat_rev on postern.reaction (chat_id, rev);
create index reaction_inactive on postern.reaction (rev) where not active;

-- The inbox of mentions. name: a member, or @all.
create table postern.mention (
	chat_id bigint not null,
	name    text collate "C" not null,
	id      bigint not null,
	primary key (chat_id, name, id)
);
create index mention_name on postern.mention (name, id) where name <> '@all'; -- those are looked for by chat

-- How far somebody has read in a thread, beyond his mark in the chat.
create table postern.thread_mark (
	chat_id bigint not null,
	thread  bigint not null,
	name    text collate "C" not null,
	read    bigint not null,
	primary key (chat_id, thread, name)
);

-- What an edited message said before.
create table postern.message_version (
	chat_id bigint not null,
	id      bigint not null,
	rev     bigint not null, -- of the message, when it said so
	at      timestamptz not null,
	text    text,
	content jsonb,
	primary key (chat_id, id, rev)
);

-- What was brought before the administrators, as it was then: who deletes it can't take it from them.
create table postern.report (
	id         bigint generated always as identity primary key,
	chat_id    bigint not null,
	message_id bigint not null,
	reporter   text collate "C" not null,
	reason     text,
	at         timestamptz not null,
	message    jsonb not null,
	unique (chat_id, message_id, reporter)
);
