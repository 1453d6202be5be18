// SPDX-License-Identifier: MIT
// The queue of read marks. It has the latest mark of each chat, collects marks for GATHER ms before it sends them, and
// keeps them while the server is unreachable.

const GATHER = 400; // ms
const RETRY = 5000; // ms

export class Reads {
  #post;
  #waiting = new Map(); // chat → up to
  #timer = null;

  // post(chat, upTo) → promise
  constructor(post) { this.#post = post; }

  put(chat, upTo) {
    this.#waiting.set(chat, upTo);
    this.#timer ??= setTimeout(() => this.#flush(), GATHER);
  }

  clear() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiting.clear();
  }

  async #flush() {
    const batch = [...this.#waiting];
    this.#waiting.clear();
    await Promise.all(batch.map(([chat, upTo]) => this.#post(chat, upTo).catch((problem) => {
      if (problem.isTemporary && !this.#waiting.has(chat)) this.#waiting.set(chat, upTo);
    })));
    this.#timer = this.#waiting.size > 0 ? setTimeout(() => this.#flush(), RETRY) : null;
  }
}
