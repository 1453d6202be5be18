// SPDX-License-Identifier: MIT
// The storage of both servers: one row per message, with a pool of twice the default size. Each connection prepares the
// statement once. fsync and synchronous_commit are on, as in the rest of the cluster.
'use strict';
const { Pool } = require('pg');

const pool = new Pool({ max: 20 }); // PGHOST, PGUSER and PGDATABASE name the database

exports.insert = (room, text) => pool.query({
	name: 'insert',
	text: 'insert into bench.naive (chat, sender, text) values ($1, $2, $3) returning id',
	values: [room, 'user1', text],
});
exports.port = Number(process.env.PORT);
