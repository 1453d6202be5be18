-- SPDX-License-Identifier: MIT
-- A JWT that was seen is a credential like others, until it expires: it is listed, and can be revoked. The row of a revoked one stays, for
-- the token itself would still be good.
alter table postern.credential drop constraint credential_kind_check;
alter table postern.credential add check (kind in ('token', 'session', 'jwt'));
alter table postern.credential add column revoked boolean not null default false;
