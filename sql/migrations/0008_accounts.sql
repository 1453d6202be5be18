-- SPDX-License-Identifier: MIT
-- Registration, passwords that are reset, what administrators did.

alter table postern.account add column about text;

-- What lets people register where an invitation is asked for. Only hashes are kept.
create table postern.registration_invite (
	id         bigint generated always as identity primary key,
	hash       text collate "C" not null unique,
	uses       integer not null, -- that are left
	created_by text collate "C" not null,
	created_at timestamptz not null default clock_timestamp(),
	expires_at timestamptz not null
);

-- The latest link of an account to a new password, good once.
create table postern.password_reset (
	name       text collate "C" primary key,
	hash       text collate "C" not null unique,
	expires_at timestamptz not null
);

create table postern.admin_audit (
	id      bigint generated always as identity primary key,
	at      timestamptz not null default clock_timestamp(),
	actor   text collate "C" not null,
	act     text not null,
	target  text collate "C",
	details jsonb
);
