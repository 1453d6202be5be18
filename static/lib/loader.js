// SPDX-License-Identifier: MIT
// Fetches what the store lacks: chats, users, members, pages of history. A request that fails temporarily is retried
// until it succeeds, or until begin() or stop() is called. Must not touch the page.

const PAGE = 50;
const PAGE_MAX = 200; // the server's limit
const CONTEXT = 20; // messages shown before the first unread one
const RETRY = 2000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Loader {
  #rest;
  #store;
  #onRefused;
  #generation = {}; // replaced by begin() and stop(), which invalidates earlier requests
  #requests = new Map(); // key being fetched → whether it was requested again meanwhile
  #firstUsers = Promise.resolve(); // resolves when the first page of users is stored

  // onRefused(problem): the server refuses the history permanently.
  constructor({ rest, store, onRefused }) {
    this.#rest = rest;
    this.#store = store;
    this.#onRefused = onRefused;
  }

  // Cancels the current requests and fetches the first page of users, so that they needn't be fetched one by one.
  begin() {
    this.stop();
    this.#firstUsers = this.#rest.users().then(({ users }) => users.forEach((user) => this.#store.putUser(user)), () => {});
  }

  stop() {
    this.#generation = {};
    this.#requests.clear();
  }

  chat(id) {
    return this.#once(`chat ${id}`, async () => {
      try {
        this.#store.putChat(await this.#rest.chat(id));
      } catch (problem) {
        if (problem.status === 404) this.#store.dropChat(id);
        throw problem;
      }
    });
  }

  user(name) {
    return this.#once(`user ${name}`, async () => {
      await this.#firstUsers;
      if (!this.#store.users.has(name)) this.#store.putUser(await this.#rest.user(name));
    });
  }

  // Throws the Problem of the response.
  async members(id) {
    const all = [];
    for (let cursor; cursor !== null; ) {
      const { members, next = null } = await this.#rest.members(id, cursor);
      all.push(...members);
      cursor = next;
    }
    this.#store.putMembers(id, all);
  }

  latest(chat) {
    if (this.#store.thread(chat.id).isLoaded) return;
    return this.#page(chat.id, { limit: Math.min(PAGE_MAX, Math.max(PAGE, this.#store.unread(chat) + CONTEXT)) });
  }

  older(id, limit = PAGE) { return this.#page(id, { limit, before: this.#store.thread(id).older }); }

  // Fetches older pages until the message is loaded, the chat begins, or isWanted() returns false.
  async backTo(id, message, isWanted) {
    const thread = this.#store.thread(id);
    while (!thread.messages.has(message) && thread.older != null && !thread.isLoading && isWanted()) await this.older(id, PAGE_MAX);
  }

  // Runs one request at a time for each key. If the key is requested again meanwhile, the response may be outdated, and
  // the request is repeated.
  async #once(key, work) {
    const isRunning = this.#requests.has(key);
    this.#requests.set(key, isRunning);
    if (isRunning) return;
    const generation = this.#generation;
    for (let isWanted = true; isWanted; ) {
      this.#requests.set(key, false);
      const problem = await work().catch((error) => error);
      if (problem?.isTemporary) await pause(problem.retryAfter ?? RETRY);
      if (generation !== this.#generation) return;
      isWanted = problem?.isTemporary || this.#requests.get(key);
    }
    this.#requests.delete(key);
  }

  async #page(id, where) {
    const thread = this.#store.thread(id);
    if (thread.isLoading) return;
    thread.isLoading = true;
    for (let isDone = false; !isDone && thread === this.#store.thread(id); ) {
      try {
        const page = await this.#rest.messages(id, where);
        thread.isLoading = false;
        isDone = true;
        if (thread === this.#store.thread(id)) this.#store.putPage(id, page);
      } catch (problem) {
        if (problem.isTemporary) {
          await pause(problem.retryAfter ?? RETRY);
          continue;
        }
        isDone = true;
        thread.isLoading = false;
        thread.older = null;
        this.#onRefused(problem);
      }
    }
  }
}
