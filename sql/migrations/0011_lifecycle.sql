-- SPDX-License-Identifier: MIT
-- When and from where credentials are used.

-- Right to within some minutes: see api/uses.c.
alter table postern.credential
	add column last_used_at timestamptz,
	add column last_address text,
	add column user_agent   text;
