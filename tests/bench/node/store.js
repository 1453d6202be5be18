// SPDX-License-Identifier: MIT
// What both servers have in common: one row a message, by a pool of connections. The statement is prepared once a connection;
// the pool is twice the default size. fsync and synchronous_commit are the cluster's: on.
'use strict';
const { Pool } = require('pg');

const pool = new Pool({ max: 20 }); // PGHOST, PGUSER, PGDATABASE say where

exports.insert = (room, text) => pool.query({ name: 'insert', text: 'insert into bench.naive (chat, sender, text) values ($1, $2, $3) returning id',
	values: [room, 'user1', text] });
exports.port = Number(process.env.PORT);
