// SPDX-License-Identifier: MIT
// The part of a chat's history that is in memory: always one range without gaps, up to the newest message.
// Must not call the server.

const KEEP = 200;
const TRIM_ABOVE = 400;

export class Thread {
  messages = new Map(); // id → message
  gone = new Set(); // ids of deleted messages, which a page read earlier must not restore
  older = null; // the cursor of older messages; null at the beginning of the chat
  isLoaded = false;
  isLoading = false;
  #sorted = null;

  // Ascending by id.
  list() {
    this.#sorted ??= [...this.messages.values()].sort((a, b) => a.id - b.id);
    return this.#sorted;
  }

  get oldest() { return this.list()[0]?.id ?? Infinity; }
  get newest() { return this.list().at(-1)?.id ?? 0; }

  // Adds the latest page, or the one before the messages in memory.
  addPage(page) {
    for (const message of page.messages) this.#put(message);
    this.older = page.older ?? null;
    if (!this.isLoaded && this.older != null) this.#dropBefore(page.messages[0]?.id ?? 0);
    this.isLoaded = true;
  }

  // Adds or replaces a message of the log. Messages before the range in memory are ignored.
  upsert(message) {
    if (this.isLoaded && this.older != null && message.id < this.oldest) return;
    if (this.isLoaded || this.isLoading) this.#put(message);
  }

  remove(id) {
    this.gone.add(id);
    this.messages.delete(id);
    this.#sorted = null;
  }

  // Drops the oldest messages if there are many. Must be called only while the newest message is in view.
  trim() {
    if (this.messages.size <= TRIM_ABOVE || this.isLoading) return;
    const first = this.list().at(-KEEP).id;
    this.#dropBefore(first);
    this.older = String(first);
  }

  #put(message) {
    if (this.gone.has(message.id) || this.messages.get(message.id)?.rev > message.rev) return;
    this.messages.set(message.id, message);
    this.#sorted = null;
  }

  #dropBefore(id) {
    for (const one of this.messages.keys()) if (one < id) this.messages.delete(one);
    this.#sorted = null;
  }
}
