// SPDX-License-Identifier: MIT
// The queue of outgoing messages, in order within a chat. All attempts to send a message use one idempotency key, so a
// lost response never creates a second message. Must not touch the page.

import { Problem } from "./rest.js";

const RETRY_FOR = 30_000; // ms during which an entry is retried automatically

// crypto.randomUUID is missing if the page was loaded over plain HTTP.
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Outbox {
  #send;
  #on;
  #entries = [];
  #busy = new Set(); // chats with a send in progress
  #wakers = new Set();

  // send(chat, body, key) → message. on: {change(), sent(entry, message), failed(entry)}.
  constructor({ send, on }) {
    this.#send = send;
    this.#on = on;
  }

  // entry: {key, chat, body, at, state: "sending" | "failed", error, claimed}
  of(chat) { return this.#entries.filter((entry) => entry.chat === chat); }

  get isEmpty() { return this.#entries.length === 0; }

  put(chat, body) {
    const entry = { key: newKey(), chat, body, at: new Date().toISOString(), state: "sending", error: null, claimed: null };
    this.#entries.push(entry);
    this.#work(chat);
    return entry;
  }

  // Uses the same key: if an earlier attempt was successful after all, the message isn't stored twice.
  retry(key) {
    const entry = this.#entries.find((one) => one.key === key);
    if (!entry || entry.state !== "failed") return;
    entry.state = "sending";
    this.#work(entry.chat);
  }

  drop(key) {
    this.#entries = this.#entries.filter((entry) => entry.key !== key);
    this.#on.change();
  }

  clear() { this.#entries = []; }

  // Ends all pauses: the server is reachable again.
  wake() { for (const waker of this.#wakers) waker(); }

  // The feed may deliver our message before the send gets its response. The entry is hidden until then.
  claim(message) {
    const isSame = (entry) => entry.state === "sending" && entry.claimed == null
      && (message.key ? message.key === entry.key : message.text === entry.body.text && message.reply_to == entry.body.reply_to);
    const entry = this.of(message.chat).find(isSame);
    if (entry) entry.claimed = message.id;
  }

  async #work(chat) {
    this.#on.change();
    if (this.#busy.has(chat)) return;
    this.#busy.add(chat);
    for (let entry; (entry = this.of(chat).find((one) => one.state === "sending")); ) await this.#deliver(entry);
    this.#busy.delete(chat);
  }

  async #deliver(entry) {
    const deadline = Date.now() + RETRY_FOR;
    for (let attempt = 0; this.#entries.includes(entry); attempt++) {
      try {
        const message = await this.#send(entry.chat, entry.body, entry.key);
        if (!this.#entries.includes(entry)) return; // cleared in the meantime
        this.#entries = this.#entries.filter((one) => one !== entry);
        return this.#on.sent(entry, message);
      } catch (error) {
        const wait = error.retryAfter ?? Math.min(500 * 2 ** attempt, 8000) * (0.5 + Math.random());
        const isPermanent = !(error instanceof Problem) || !error.isTemporary;
        if (isPermanent || Date.now() + wait > deadline) return this.#fail(entry, error);
        await this.#pause(wait);
      }
    }
  }

  #fail(entry, error) {
    entry.state = "failed";
    entry.error = error;
    entry.claimed = null;
    this.#on.failed(entry);
  }

  #pause(ms) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wakers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#wakers.add(done);
    });
  }
}
