// SPDX-License-Identifier: MIT
// Messages on their way out: in order within a chat, each under one idempotency key for all its attempts,
// so that an answer lost on the way never makes a message twice. Must not know about the page.

import { Problem } from "./rest.js";

const PATIENCE = 30_000; // how long an entry is retried before it is the user's to retry

// crypto.randomUUID is missing where the page came over plain HTTP.
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Outbox {
  #send;
  #on;
  #entries = [];
  #busy = new Set(); // chats being worked on
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

  // With the same key: should an earlier attempt have got through after all, nothing is sent twice.
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

  // The server is there again: don't wait out the pauses.
  wake() { for (const waker of this.#wakers) waker(); }

  // The stream may tell of our message before the send is answered: hide the entry meanwhile.
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
    const deadline = Date.now() + PATIENCE;
    for (let attempt = 0; this.#entries.includes(entry); attempt++) {
      try {
        const message = await this.#send(entry.chat, entry.body, entry.key);
        if (!this.#entries.includes(entry)) return; // cleared meanwhile
        this.#entries = this.#entries.filter((one) => one !== entry);
        return this.#on.sent(entry, message);
      } catch (error) {
        const wait = error.retryAfter ?? Math.min(500 * 2 ** attempt, 8000) * (0.5 + Math.random());
        const isHopeless = !(error instanceof Problem) || !error.isTemporary;
        if (isHopeless || Date.now() + wait > deadline) return this.#fail(entry, error);
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
