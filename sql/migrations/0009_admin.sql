-- SPDX-License-Identifier: MIT
-- What administrators say to everybody.
create table postern.announcement (
	id    bigint generated always as identity primary key,
	text  text not null,
	by    text not null,
	at    timestamptz not null default clock_timestamp(),
	until timestamptz
);
