// SPDX-License-Identifier: MIT
// A chat server as the usual tutorial builds it: socket.io, here with nothing but the polling transport, since WebSockets are
// what doesn't get through. One row a message, then it goes to the room, then the sender is told. No compression.
'use strict';
const http = require('http');
const { Server } = require('socket.io');
const store = require('./store.js');

const server = http.createServer();
server.keepAliveTimeout = 600000; // as long as the other servers keep a connection
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
