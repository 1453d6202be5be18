-- SPDX-License-Identifier: MIT
-- What runs out is found without looking at all that doesn't; who left leaves no marks behind, and names of chats
-- that an administrator deleted are free again.
create index credential_expiry on postern.credential (expires_at) where expires_at is not null;
create index ticket_expiry on postern.ticket (expires_at);
create index chat_deleted on postern.chat (id) where state = 'deleted';
delete from postern.watermark w using postern.member m where m.chat_id = w.chat_id and m.name = w.name and m.state <> 'joined';
update postern.chat set handle = null, pair = null where state = 'deleted' and (handle is not null or pair is not null);
