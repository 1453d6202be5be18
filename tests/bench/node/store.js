// SPDX-License-Identifier: MIT
// Storage of both servers: one row a message, by a pool of connections of twice the default size. The statement is
// prepared once a connection. fsync and synchronous_commit are on, as the cluster has them.
'use strict';
const { Pool } = require('pg');

const pool = new Pool({ max: 20 }); // PGHOST, PGUSER, PGDATABASE say where

exports.insert = (room, text) => pool.query({
	name: 'insert',
	text: 'insert into bench.naive (chat, sender, text) values ($1, $2, $3) returning id',
	values: [room, 'user1', text],
});
exports.port = Number(process.env.PORT);
