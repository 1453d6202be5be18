// SPDX-License-Identifier: MIT
// A standard EventSource, without the page's library, resumes with only Last-Event-ID.

import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { EventSource } from "eventsource";
import { Server } from "./server.js";

const LIMIT = { timeout: 60_000 };
const server = new Server();
let alice, bob, chat;

before(async () => {
  await server.start();
  [alice, bob] = [await server.addUser("alice"), await server.addUser("bob")];
  chat = await alice.createGroup("Resume", bob);
});
after(() => server.remove());

// next() resolves to the next message; resumedFrom has the Last-Event-ID of each connection.
function listen(path) {
  const resumedFrom = [];
  const source = new EventSource(server.url + path, {
    fetch: (url, init) => {
      resumedFrom.push(init.headers["Last-Event-ID"]);
      return fetch(url, { ...init, headers: { ...init.headers, Authorization: `Bearer ${alice.token}` } });
    },
  });
  const queue = [];
  let wake = () => {};
  source.addEventListener("message", (event) => {
    queue.push({ ...JSON.parse(event.data), cursor: event.lastEventId });
    wake();
  });
  async function next() {
    while (queue.length === 0) await new Promise((resolve) => { wake = resolve; });
    return queue.shift();
  }
  return { source, resumedFrom, next };
}

test("eventsource_after_end_of_response_resumes_at_last_event_id", LIMIT, async () => {
  const { source, resumedFrom, next } = listen("/v1/stream?close=1");
  await once(source, "hello");
  await bob.send(chat, "one");
  const one = await next();
  assert.equal(one.text, "one");
  await bob.send(chat, "two");
  const two = await next();
  await bob.send(chat, "three");
  assert.deepEqual([two.text, (await next()).text], ["two", "three"]);
  assert.deepEqual(resumedFrom.slice(1, 3), [one.cursor, two.cursor]);
  source.close();
});

test("eventsource_over_server_restart_misses_nothing", LIMIT, async () => {
  const { source, next } = listen("/v1/stream");
  await once(source, "hello");
  await bob.send(chat, "before");
  assert.equal((await next()).text, "before");
  await server.stop();
  await server.start();
  await bob.sendMany(chat, ["after 1", "after 2", "after 3"]);
  assert.deepEqual([(await next()).text, (await next()).text, (await next()).text], ["after 1", "after 2", "after 3"]);
  source.close();
});
