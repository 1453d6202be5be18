-- SPDX-License-Identifier: MIT
-- Names, hashes and keys are compared by their bytes: nobody reads them in a language's order, and a locale's comparison (strcoll)
-- was more than half of what a send costs.

alter table postern.account alter column name type text collate "C";
alter table postern.credential alter column hash type text collate "C", alter column name type text collate "C";
alter table postern.ticket alter column hash type text collate "C";
alter table postern.chat alter column pair type text collate "C";
alter table postern.member alter column name type text collate "C";
alter table postern.message_key alter column sender type text collate "C", alter column key type text collate "C";
alter table postern.watermark alter column name type text collate "C";
