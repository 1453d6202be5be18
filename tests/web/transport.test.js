// SPDX-License-Identifier: MIT
// The page under faults: server restarts, blocked or buffered streams, lost responses.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Page, hold, launch } from "./page.js";
import { freezingProxy } from "./proxy.js";
import { Server } from "./server.js";

const STREAM = "**/v1/stream?*";
const SEND = /\/v1\/chats\/\d+\/messages$/;
const server = new Server();
let browser, alice, bob, aliceView;

before(async () => {
  await server.start();
  [alice, bob] = [await server.addUser("alice"), await server.addUser("bob")];
  browser = await launch();
});
afterEach(async () => { await aliceView.close(); });
after(async () => {
  await browser?.close();
  await server.remove();
});

// Opens a new group in the page. status: the connection state to wait for; prepare: called with the page before it
// loads; at: the server, or a proxy to it.
async function enter(title, { status = "stream", prepare = () => {}, at = server } = {}) {
  const chat = await alice.createGroup(title, bob);
  aliceView = await Page.open(browser, at);
  aliceView.expect(/^Failed to load resource/);
  await prepare(aliceView.page);
  await aliceView.enter(alice, chat, status);
  return chat;
}

test("page_over_server_restart_misses_and_repeats_nothing", async () => {
  const chat = await enter("Restart");
  await bob.send(chat, "before");
  await aliceView.sees("before");
  const resumedFrom = [];
  aliceView.page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.pathname.endsWith("/v1/stream")) resumedFrom.push(url.searchParams.get("since"));
  });
  const { cursor } = await alice.call("GET", "/v1/sync");
  await server.stop();
  await aliceView.isConnected("offline");
  await aliceView.write("written in the dark");
  await aliceView.message("written in the dark").and(aliceView.page.locator(".sending")).waitFor();
  await server.start();
  const texts = ["while away 1", "while away 2", "while away 3"];
  for (const text of texts) await bob.send(chat, text);
  await aliceView.isConnected("stream");
  assert.equal(resumedFrom[0], cursor);
  for (const text of [...texts, "written in the dark"]) await aliceView.sees(text);
  assert.deepEqual(await aliceView.texts(/^while away/), texts);
  const { messages } = await bob.history(chat);
  assert.equal(messages.filter((message) => message.text === "written in the dark").length, 1);
});

test("page_with_blocked_eventsource_uses_long_poll", async () => {
  const block = (page) => page.route(STREAM, (route) => route.abort());
  const chat = await enter("Blocked", { status: "poll", prepare: block });
  await bob.send(chat, "through the other door");
  await aliceView.sees("through the other door");
  await aliceView.write("and back");
  await aliceView.sees("and back");
  assert.equal((await bob.history(chat)).messages.length, 2);
});

test("page_with_buffered_stream_uses_long_poll_until_a_stream_works", async () => {
  let isHeld = true;
  const chat = await enter("Buffered", {
    status: "poll",
    prepare: async (page) => {
      await page.clock.install();
      await page.route(STREAM, (route) => isHeld || route.continue());
    },
  });
  await bob.send(chat, "by poll");
  await aliceView.sees("by poll");
  isHeld = false;
  await aliceView.page.clock.fastForward("01:00");
  await bob.send(chat, "ends the poll");
  await aliceView.isConnected("stream");
  await bob.send(chat, "by stream");
  await aliceView.sees("by stream");
  assert.deepEqual(await aliceView.texts(/./), ["by poll", "ends the poll", "by stream"]);
});

test("page_with_streams_that_are_cut_uses_long_poll", async () => {
  const hello = "event: hello\ndata: {}\n\n";
  const cut = (page) => page.route(STREAM, (route) => route.fulfill({ contentType: "text/event-stream", body: hello }));
  const chat = await enter("Cut", { status: "poll", prepare: cut });
  await bob.send(chat, "in one piece");
  await aliceView.sees("in one piece");
});

test("page_with_silent_stream_opens_another", async () => {
  const proxy = await freezingProxy(server);
  try {
    const chat = await enter("Frozen", { at: proxy });
    proxy.freeze();
    await bob.send(chat, "can you hear me?");
    await aliceView.write("nothing heard for a while");
    await aliceView.sees("can you hear me?");
    await aliceView.sees("nothing heard for a while");
    assert.deepEqual(await aliceView.texts(/./), ["can you hear me?", "nothing heard for a while"]);
  } finally {
    proxy.close();
  }
});

test("message_event_before_its_response_is_shown_once", async () => {
  await enter("Early echo");
  const held = await hold(aliceView.page, SEND);
  await aliceView.write("echo");
  await held.isAsked;
  await aliceView.sees("echo");
  const isAnswered = aliceView.page.waitForResponse(SEND);
  held.release();
  await isAnswered;
  await aliceView.sees("echo");
});

test("send_with_lost_response_happens_once", async () => {
  const chat = await enter("Lost answer");
  const keys = [];
  await aliceView.page.route(SEND, async (route) => {
    keys.push(await route.request().headerValue("Idempotency-Key"));
    if (keys.length > 1) return route.continue();
    await route.fetch();
    return route.abort();
  });
  const isAnswered = aliceView.page.waitForResponse(SEND);
  await aliceView.write("once is enough");
  await isAnswered;
  await aliceView.sees("once is enough");
  assert.equal(keys.length, 2);
  assert.equal(keys[0], keys[1]);
  assert.equal((await bob.history(chat)).messages.length, 1);
});

test("send_during_short_database_outage_is_delayed", async () => {
  const chat = await enter("Away");
  const problem = { status: 503, code: "unavailable", detail: "The database is away." };
  const answer = {
    status: 503,
    contentType: "application/problem+json",
    headers: { "Retry-After": "1" },
    body: JSON.stringify(problem),
  };
  await aliceView.page.route(SEND, (route) => route.fulfill(answer), { times: 1 });
  await aliceView.write("patience");
  await aliceView.sees("patience");
  assert.equal((await bob.history(chat)).messages.length, 1);
});

test("send_refused_shows_the_reason_and_can_be_retried", async () => {
  const chat = await enter("Refused");
  const problem = { status: 403, code: "muted", detail: "You are muted in this chat." };
  const answer = { status: 403, contentType: "application/problem+json", body: JSON.stringify(problem) };
  await aliceView.page.route(SEND, (route) => route.fulfill(answer), { times: 1 });
  await aliceView.write("hear me");
  await aliceView.message("hear me").getByText("You are muted in this chat.").waitFor();
  await aliceView.message("hear me").getByRole("button", { name: "Try again" }).click();
  await aliceView.sees("hear me");
  assert.equal((await bob.history(chat)).messages.length, 1);
});

test("page_signed_out_elsewhere_asks_to_sign_in", async () => {
  await enter("Elsewhere");
  await aliceView.page.evaluate(() => fetch("/v1/session", { method: "DELETE" }));
  await aliceView.page.getByLabel("User name").waitFor();
});
