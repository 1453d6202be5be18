// SPDX-License-Identifier: MIT
// A chat server as tutorials build it, with socket.io. Only the polling transport is enabled, because the comparison is
// for clients that can't use WebSockets. Each message is inserted, sent to the room, then acknowledged. Compression is
// off.
'use strict';
const http = require('http');
const { Server } = require('socket.io');
const store = require('./store.js');

const server = http.createServer();
server.keepAliveTimeout = 600000; // as in the other servers
const io = new Server(server, { transports: ['polling'], httpCompression: false, serveClient: false });

io.on('connection', (socket) => {
	if (socket.handshake.query.room)
		socket.join(socket.handshake.query.room);
	socket.on('message', async (message, done) => {
		await store.insert(message.room, message.text);
		io.to(String(message.room)).emit('message', message);
		done('ok');
	});
});
server.listen(store.port, '127.0.0.1', 4096);
