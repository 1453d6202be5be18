// SPDX-License-Identifier: MIT
// The same server with ws, for clients that can use WebSockets. Each message is inserted, sent to the room, then
// acknowledged.
'use strict';
const http = require('http');
const { WebSocketServer } = require('ws');
const store = require('./store.js');

const rooms = new Map();
const server = http.createServer();
const wss = new WebSocketServer({ server, perMessageDeflate: false });

wss.on('connection', (socket, request) => {
	const room = new URL(request.url, 'http://x').searchParams.get('room');
	if (room) {
		if (!rooms.has(room))
			rooms.set(room, new Set());
		rooms.get(room).add(socket);
		socket.on('close', () => rooms.get(room).delete(socket));
	}
	socket.on('message', async (data) => {
		const message = JSON.parse(data);
		await store.insert(message.room, message.text);
		for (const other of rooms.get(String(message.room)) ?? [])
			other.send(JSON.stringify(message));
		socket.send('{"ack":1}');
	});
});
server.listen(store.port, '127.0.0.1', 4096);
