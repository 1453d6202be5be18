-- SPDX-License-Identifier: MIT
-- Functions that all others use: errors and timestamps.

-- Ends the operation with an error. The transaction is rolled back and the worker answers with a problem
-- document.
--   p_code    the stable problem code, a row of src/base/problem.h, which has its status, title and default detail;
--             it travels as the error's hint
--   p_detail  a sentence for people; null: the default detail
-- Callers: every function that checks a request.
-- Errors: always, with SQLSTATE PTREF.
create function refuse(p_code text, p_detail text default null) returns void
language plpgsql as $$
begin
	raise exception using errcode = 'PTREF', message = coalesce(p_detail, ''), hint = p_code;
end $$;

-- The most bytes of a page, by message_size() and the like; a page has one entry at least. What a client leaves
-- unread stays in the memory of a worker.
-- Callers: the functions that return pages.
create function page_bytes() returns int
language sql immutable as $$ select 1048576 $$;

-- A time as text: RFC 3339, UTC, milliseconds. Null for null.
-- Callers: the functions that render JSON.
create function stamp(p_at timestamptz) returns text
language sql stable as $$
	select to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
