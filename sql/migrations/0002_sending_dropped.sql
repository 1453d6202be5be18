-- SPDX-License-Identifier: MIT
-- send() needs it no longer.

drop type postern.sending;
