-- SPDX-License-Identifier: MIT
-- Threads whose first message was deleted, and reasons that say nothing.

-- Written when a message goes that has replies, and removed with the last of these. Its latest reply isn't kept here: sending doesn't know
-- of this table, and the index of replies gives it.
create table postern.thread_rootless (
	chat_id bigint not null,
	thread  bigint not null, -- the id of the message that it began with
	primary key (chat_id, thread)
);
insert into postern.thread_rootless (chat_id, thread)
	select distinct m.chat_id, m.thread from postern.message m join postern.chat c on c.id = m.chat_id and c.state = 'active'
		where m.thread is not null and not exists (select from postern.message r where r.chat_id = m.chat_id and r.id = m.thread);

update postern.report set reason = null where reason = '';
