// SPDX-License-Identifier: MIT
// The feed with an EventSource that reports no errors: the feed must replace a silent stream. Needs no browser.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";

globalThis.document = { baseURI: "http://localhost/" };

// Imports a file of static/. Node before 22 needs a package.json to load it as a module, and static/ has none.
async function importStatic(file) {
  const folder = mkdtempSync(join(tmpdir(), "feed-"));
  try {
    cpSync(new URL("../../static/", import.meta.url), folder, { recursive: true });
    writeFileSync(join(folder, "package.json"), '{"type":"module"}');
    return await import(join(folder, file));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const { Feed } = await importStatic("lib/transport.js");
const opened = [];

class Source extends EventTarget {
  constructor(url) {
    super();
    this.since = url.searchParams.get("since");
    this.isClosed = false;
    opened.push(this);
  }

  close() { this.isClosed = true; }

  emit(kind, data, lastEventId) {
    this.dispatchEvent(Object.assign(new Event(kind), { data: JSON.stringify(data), lastEventId }));
  }
}

// A clock that advances only in pass().
const real = { setTimeout, clearTimeout, now: Date.now };
const timers = new Map();
let now = 0;
let count = 0;
const clock = {
  setTimeout: (fn, ms, ...args) => { timers.set(++count, { due: now + ms, fn, args }); return count; },
  clearTimeout: (id) => { timers.delete(id); },
  now: () => now,
};

function use({ setTimeout, clearTimeout, now }) {
  Object.assign(globalThis, { setTimeout, clearTimeout });
  Date.now = now;
}

let feed;
const delivered = [];
const settle = async () => { for (let i = 0; i < 20; i++) await Promise.resolve(); };

beforeEach(async () => {
  use(clock);
  globalThis.EventSource = Source;
  opened.length = delivered.length = 0;
  const on = { event: (kind, data) => delivered.push([kind, data]), status() {}, reset() {}, refused() {} };
  const rest = { poll: async (cursor) => ({ events: [], cursor }) };
  feed = new Feed({ rest, kinds: ["message"], on });
  feed.start("c1");
  await settle();
  opened[0].emit("hello", { heartbeat: 15 }, "c1");
  await settle();
});
afterEach(() => {
  feed.stop();
  use(real);
  timers.clear();
});

async function pass(ms) {
  for (const until = now + ms; now < until;) {
    const [id, timer] = [...timers].sort(([, a], [, b]) => a.due - b.due)[0] ?? [];
    now = timer ? Math.min(timer.due, until) : until;
    if (!timer || timer.due > now) continue;
    timers.delete(id);
    timer.fn(...timer.args);
    await settle();
  }
  await settle();
}

test("feed_with_heartbeats_keeps_its_stream", async () => {
  for (let i = 2; i < 20; i++) {
    await pass(15_000);
    opened[0].emit("heartbeat", {}, `c${i}`);
  }
  assert.equal(opened.length, 1);
  assert.equal(opened[0].isClosed, false);
  assert.equal(feed.cursor, "c19");
  assert.deepEqual(delivered, []);
});

test("feed_without_heartbeats_opens_another_stream_at_its_cursor", async () => {
  opened[0].emit("message", { id: 2 }, "c2");
  await pass(30_000);
  assert.equal(opened[0].isClosed, false);
  await pass(8_000); // 2.5 periods
  assert.equal(opened[0].isClosed, true);
  await pass(1_000);
  assert.equal(opened.length, 2);
  assert.equal(opened[1].since, "c2");
});

test("feed_stopped_leaves_no_timer", async () => {
  feed.stop();
  await pass(60_000);
  assert.equal(opened.length, 1);
});
