-- SPDX-License-Identifier: MIT
-- Credentials that end when they should.

-- Identifies a JWT in whatever spelling it comes: a hash over iss, sub and jti, or else over what is signed. Null: another kind, or a JWT from
-- before this, which is found by the hash of its text.
alter table postern.credential add column identity text collate "C";
create unique index credential_identity on postern.credential (identity);

-- JWTs that were issued before this aren't accepted for the account, unless they were seen before. Null: all are.
alter table postern.account add column jwts_from timestamptz;
