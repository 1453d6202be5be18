// SPDX-License-Identifier: MIT
// The page on bad days: restarts, blocked or buffered streams, lost answers.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Page, hold, launch } from "./page.js";
import { freezingProxy } from "./proxy.js";
import { Server } from "./server.js";

const STREAM = "**/v1/stream?*";
const SEND = /\/v1\/chats\/\d+\/messages$/;
const server = new Server();
let browser, alice, bob, hers;

before(async () => {
  await server.start();
  [alice, bob] = [await server.addUser("alice"), await server.addUser("bob")];
  browser = await launch();
});
afterEach(async () => { await hers.close(); });
after(async () => {
  await browser?.close();
  await server.remove();
});

// options: the connection to end up with; what to do to the page before it is opened; where, if not the server itself.
async function enter(title, { status = "stream", prepare = () => {}, at = server } = {}) {
  const chat = await alice.createGroup(title, bob);
  hers = await Page.open(browser, at);
  hers.expect(/^Failed to load resource/);
  await prepare(hers.page);
  await hers.enter(alice, chat, status);
  return chat;
}

test("over a restart of the server nothing is missed and nothing sent twice", async () => {
  const chat = await enter("Restart");
  await bob.send(chat, "before");
  await hers.sees("before");
  const resumedFrom = [];
  hers.page.on("request", (request) => { if (request.url().includes("/v1/stream")) resumedFrom.push(new URL(request.url()).searchParams.get("since")); });
  const { cursor } = await alice.call("GET", "/v1/sync");
  await server.stop();
  await hers.isConnected("offline");
  await hers.write("written in the dark");
  await hers.message("written in the dark").and(hers.page.locator(".sending")).waitFor();
  await server.start();
  const texts = ["while away 1", "while away 2", "while away 3"];
  for (const text of texts) await bob.send(chat, text);
  await hers.isConnected("stream");
  assert.equal(resumedFrom[0], cursor);
  for (const text of [...texts, "written in the dark"]) await hers.sees(text);
  assert.deepEqual(await hers.texts(/^while away/), texts);
  const { messages } = await bob.history(chat);
  assert.equal(messages.filter((message) => message.text === "written in the dark").length, 1);
});

test("where EventSource is blocked, long-poll takes over", async () => {
  const chat = await enter("Blocked", { status: "poll", prepare: (page) => page.route(STREAM, (route) => route.abort()) });
  await bob.send(chat, "through the other door");
  await hers.sees("through the other door");
  await hers.write("and back");
  await hers.sees("and back");
  assert.equal((await bob.history(chat)).messages.length, 2);
});

test("where a stream is held back on its way, long-poll takes over, until a stream gets through", async () => {
  let isHeld = true;
  const chat = await enter("Buffered", {
    status: "poll",
    prepare: async (page) => {
      await page.clock.install();
      await page.route(STREAM, (route) => isHeld || route.continue());
    },
  });
  await bob.send(chat, "by poll");
  await hers.sees("by poll");
  isHeld = false;
  await hers.page.clock.fastForward("01:00");
  await bob.send(chat, "ends the poll");
  await hers.isConnected("stream");
  await bob.send(chat, "by stream");
  await hers.sees("by stream");
  assert.deepEqual(await hers.texts(/./), ["by poll", "ends the poll", "by stream"]);
});

test("where streams are cut after a moment, long-poll takes over", async () => {
  const hello = "event: hello\ndata: {}\n\n";
  const cut = (page) => page.route(STREAM, (route) => route.fulfill({ contentType: "text/event-stream", body: hello }));
  const chat = await enter("Cut", { status: "poll", prepare: cut });
  await bob.send(chat, "in one piece");
  await hers.sees("in one piece");
});

test("a stream that died without a word is noticed", async () => {
  const proxy = await freezingProxy(server);
  try {
    const chat = await enter("Frozen", { at: proxy });
    proxy.freeze();
    await bob.send(chat, "can you hear me?");
    await hers.write("nothing heard for a while");
    await hers.sees("can you hear me?");
    await hers.sees("nothing heard for a while");
    assert.deepEqual(await hers.texts(/./), ["can you hear me?", "nothing heard for a while"]);
  } finally {
    proxy.close();
  }
});

test("a message that is told before its sending is answered is shown once", async () => {
  await enter("Early echo");
  const held = await hold(hers.page, SEND);
  await hers.write("echo");
  await held.isAsked;
  await hers.sees("echo");
  const isAnswered = hers.page.waitForResponse(SEND);
  held.release();
  await isAnswered;
  await hers.sees("echo");
});

test("an answer lost on the way doesn't send twice", async () => {
  const chat = await enter("Lost answer");
  const keys = [];
  await hers.page.route(SEND, async (route) => {
    keys.push(await route.request().headerValue("Idempotency-Key"));
    if (keys.length > 1) return route.continue();
    await route.fetch();
    return route.abort();
  });
  const isAnswered = hers.page.waitForResponse(SEND);
  await hers.write("once is enough");
  await isAnswered;
  await hers.sees("once is enough");
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
  assert.equal((await bob.history(chat)).messages.length, 1);
});

test("a database that is away for a moment only delays", async () => {
  const chat = await enter("Away");
  const problem = { status: 503, code: "unavailable", detail: "The database is away." };
  const answer = { status: 503, contentType: "application/problem+json", headers: { "Retry-After": "1" }, body: JSON.stringify(problem) };
  await hers.page.route(SEND, (route) => route.fulfill(answer), { times: 1 });
  await hers.write("patience");
  await hers.sees("patience");
  assert.equal((await bob.history(chat)).messages.length, 1);
});

test("what is refused says so, and can be tried again", async () => {
  const chat = await enter("Refused");
  const problem = { status: 403, code: "muted", detail: "You are muted in this chat." };
  await hers.page.route(SEND, (route) => route.fulfill({ status: 403, contentType: "application/problem+json", body: JSON.stringify(problem) }), { times: 1 });
  await hers.write("hear me");
  await hers.message("hear me").getByText("You are muted in this chat.").waitFor();
  await hers.message("hear me").getByRole("button", { name: "Try again" }).click();
  await hers.sees("hear me");
  assert.equal((await bob.history(chat)).messages.length, 1);
});

test("one who is signed out elsewhere is asked to sign in", async () => {
  await enter("Elsewhere");
  await hers.page.evaluate(() => fetch("/v1/session", { method: "DELETE" }));
  await hers.page.getByLabel("User name").waitFor();
});
