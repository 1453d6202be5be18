-- SPDX-License-Identifier: MIT
-- Functions that all others use: errors and timestamps.

-- Ends the operation with an error. The transaction is rolled back and the worker answers with a problem
-- document.
--   p_status  the HTTP status; the SQLSTATE is PT followed by it
--   p_code    the stable problem code; it travels as the error's hint
--   p_detail  a sentence for people
-- Callers: every function that checks a request.
-- Errors: always, with SQLSTATE PT and the status.
create function refuse(p_status int, p_code text, p_detail text) returns void
language plpgsql as $$
begin
	raise exception using errcode = 'PT' || p_status, message = p_detail, hint = p_code;
end $$;

-- A time as text: RFC 3339, UTC, milliseconds. Null for null.
-- Callers: the functions that render JSON.
create function stamp(p_at timestamptz) returns text
language sql stable as $$
	select to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
