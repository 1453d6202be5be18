-- SPDX-License-Identifier: MIT
-- How long messages are kept, and reports that have been dealt with. What holds for all chats is in meta: retention (seconds), and while
-- it is being put on the chats retention_from, the number of the last chat that has it.

alter table postern.chat
	add column retention integer check (retention > 0),      -- seconds after which its messages go; null: they stay
	add column retention_own integer check (retention_own > 0); -- what was said of this chat; null: as for all

-- The chats with a retention, and when to look at their oldest message.
create table postern.retention_due (
	chat_id      bigint primary key,
	due_at       timestamptz not null,
	behind_since timestamptz, -- since when there is more to remove than was removed at once; null: there isn't
	gone         bigint not null default 0 -- up to there no message is left
) with (fillfactor = 70);
create index retention_due_at on postern.retention_due (due_at);
create index retention_behind on postern.retention_due (behind_since) where behind_since is not null;

alter table postern.report
	add column resolved_at timestamptz,
	add column resolved_by text collate "C";
create index report_open on postern.report (id) where resolved_at is null;
