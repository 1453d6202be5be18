-- SPDX-License-Identifier: MIT
-- Chats that are gone keep their row: what is removed with them is looked for among these only, not in every chat.
create index chat_deleted on postern.chat (id) where state = 'deleted';
