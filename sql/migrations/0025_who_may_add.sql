-- SPDX-License-Identifier: MIT
-- Who may add whom to chats.

-- Whose addition to a group or channel takes effect at once. Null: everybody's.
alter table postern.account add column who_may_add text check (who_may_add in ('known', 'nobody'));

-- Users who were asked into a chat instead of being added. A row stays after a refusal, so that the chat can't ask again.
create table postern.chat_request (
	chat_id  bigint not null,
	name     text collate "C" not null, -- who was asked
	asked_by text collate "C" not null,
	asked_at timestamptz not null default clock_timestamp(),
	declined boolean not null default false,
	primary key (chat_id, name)
);
create index chat_request_name on postern.chat_request (name);

-- How many users they have added whom they didn't know: the theoretical arrival time of the next one (GCRA).
create table postern.stranger_rate (
	name text collate "C" primary key,
	at   timestamptz not null
);
