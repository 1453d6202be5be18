-- SPDX-License-Identifier: MIT
-- When and from where credentials are used, and accounts that go.

-- Right to within some minutes: see api/uses.c.
alter table postern.credential
	add column last_used_at timestamptz,
	add column last_address text,
	add column user_agent   text;

-- What is still to be done of an account that was deleted: chat by chat, so that it goes on where it was after a crash.
create table postern.erasure (
	name       text collate "C" primary key,
	deleted_at timestamptz not null default clock_timestamp(),
	removes    boolean,                      -- his messages too; null: not begun yet
	chat_id    bigint not null default 0,    -- done up to this chat
	part       text not null default 'leave' check (part in ('leave', 'marks', 'messages', 'reactions', 'settle')), -- of the chat after it
	after      bigint not null default 0     -- where in that part
);

-- A direct chat of which one has deleted his account: nobody writes there any more. The gate is what sending looks at, see 0005.
alter table postern.chat add column abandoned boolean not null default false;
alter table postern.chat drop column gate;
alter table postern.chat add column gate text generated always as (case when abandoned then 'abandoned' when barred then 'barred'
	when kind = 'channel' or posting = 'admins' then 'admins' when slow_mode > 0 or rate_limit > 0 then 'paced' end) stored;

-- Others' lists, by who is on them.
create index contact_contact on postern.contact (contact);

-- Whose reports they are.
create index report_reporter on postern.report (reporter, id);
