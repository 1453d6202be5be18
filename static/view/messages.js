// SPDX-License-Identifier: MIT
// The messages of the open chat, grouped by day and author. Tracks the scroll position and which messages the user has
// seen. When messages are appended, the end stays in view, or the position if the user has scrolled up.

import { $, dayName, dayOf, reconcile } from "./dom.js";
import { dayRow, messageRow, systemRow, unreadRow } from "./message.js";

const TOGETHER = 5 * 60_000; // ms; messages of one author within this time are grouped
const END = 40; // pixels; a smaller distance from the end counts as the end
const NEAR_TOP = 600; // pixels; at a smaller distance from the top, older messages are loaded

export class Messages {
  #store;
  #outbox;
  #on;
  #log = $("log");
  #list = $("messages");
  #chat = null;
  #unreadFrom = null; // the first unread message when the chat was opened
  #isPlaced = false; // the first page has been shown
  #isAtEnd = true;
  #leftAt = Infinity; // newest message when the user scrolled away from the end

  // on: {older(chat), seen(chat, upTo), jump(id), reply(m), edit(m), remove(m), retry(key), discard(key)}
  constructor({ store, outbox, on }) {
    this.#store = store;
    this.#outbox = outbox;
    this.#on = on;
    this.#log.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#list.addEventListener("keydown", (event) => this.#key(event));
    this.#list.addEventListener("focusin", (event) => this.#rove(event.target.closest("li")));
    $("to-end").addEventListener("click", () => this.toEnd());
    const observer = new ResizeObserver(() => { if (this.#isAtEnd) this.toEnd(); });
    observer.observe(this.#log);
    observer.observe(this.#list);
  }

  // id: of the chat, or null.
  open(id) {
    this.#chat = id;
    this.#isPlaced = false;
    this.#isAtEnd = true;
    this.#leftAt = Infinity;
    this.#list.replaceChildren();
    $("empty").hidden = true;
    this.#unreadFrom = null;
    if (id == null) return;
    $("older").hidden = this.#store.thread(id).isLoaded;
    this.#unreadFrom = this.#store.firstUnread(this.#store.chats.get(id));
  }

  // Sending a message removes the line above the unread ones.
  sent() {
    this.#unreadFrom = null;
    this.toEnd();
  }

  toEnd() {
    this.#isAtEnd = true;
    this.#log.scrollTop = this.#log.scrollHeight;
    this.#report();
  }

  // Scrolls to a message and highlights it for a moment. Returns false if it isn't in memory.
  reveal(id) {
    const row = this.#row(`m${id}`);
    if (!row) return false;
    row.scrollIntoView({ block: "center" });
    row.focus({ preventScroll: true });
    row.classList.add("found");
    row.addEventListener("animationend", () => row.classList.remove("found"), { once: true });
    return true;
  }

  render() {
    const chat = this.#store.chats.get(this.#chat);
    if (!chat) return;
    const thread = this.#store.thread(chat.id);
    $("older").hidden = !thread.isLoading;
    if (!thread.isLoaded) return;
    if (this.#isAtEnd && this.#isPlaced) thread.trim();
    const anchor = this.#isAtEnd ? null : this.#anchor();
    reconcile(this.#list, this.#rows(chat, thread));
    $("empty").hidden = this.#list.childElementCount > 0;
    if (!this.#isPlaced) this.#place();
    else if (this.#isAtEnd) this.toEnd();
    else if (anchor) this.#restore(anchor);
    if (!this.#list.querySelector("li[tabindex='0']")) this.#rove(this.#list.lastElementChild);
    this.#report();
  }

  #rows(chat, thread) {
    const sending = this.#outbox.of(chat.id).filter((entry) => !thread.messages.has(entry.claimed));
    const all = [...thread.list(), ...sending.map((entry) => this.#pending(entry))];
    const rows = [];
    const isUnread = (message) => this.#unreadFrom != null && message.id >= this.#unreadFrom && message.from !== this.#store.me.name;
    const mark = all.findIndex(isUnread);
    const starts = all.map((message, index) => index === mark || !belongs(all[index - 1], message));
    all.forEach((message, index) => {
      const before = all[index - 1];
      if (!before || dayOf(before.at) !== dayOf(message.at)) rows.push(dayRow(dayName(message.at), dayOf(message.at)));
      if (index === mark) rows.push(unreadRow());
      rows.push(message.type === "system"
        ? systemRow(message)
        : messageRow(message, { chat, store: this.#store, on: this.#on, isFirst: starts[index], isLast: starts[index + 1] ?? true }));
    });
    return rows;
  }

  #pending({ key, body, at, state, error }) {
    return { key, state, error, at, text: body.text, reply_to: body.reply_to, from: this.#store.me.name };
  }

  // ---- scroll position

  #place() {
    this.#isPlaced = true;
    const mark = this.#row("unread");
    this.#log.scrollTop = mark ? mark.offsetTop - 60 : this.#log.scrollHeight;
    this.#scrolled();
  }

  #row(key) { return this.#list.querySelector(`[data-key="${CSS.escape(key)}"]`); }

  // Returns the topmost row in view and its lower edge: the upper edge moves if the row loses its author's name because
  // older rows are inserted before it.
  #anchor() {
    const top = this.#log.getBoundingClientRect().top;
    for (const row of this.#list.querySelectorAll("[data-id]")) {
      const box = row.getBoundingClientRect();
      if (box.bottom > top) return { key: row.dataset.key, bottom: box.bottom };
    }
    return null;
  }

  #restore({ key, bottom }) {
    const row = this.#row(key);
    if (row) this.#log.scrollTop += row.getBoundingClientRect().bottom - bottom;
  }

  #scrolled() {
    if (!this.#isPlaced) return;
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < END;
    if (this.#isAtEnd && !isAtEnd) this.#leftAt = this.#store.thread(this.#chat).newest;
    this.#isAtEnd = isAtEnd;
    this.#report();
  }

  // Reports which messages were seen and whether older ones are needed, and shows how many are below.
  #report() {
    if (!this.#isPlaced) return;
    const thread = this.#store.thread(this.#chat);
    if (this.#log.scrollTop < NEAR_TOP && thread.older != null && !thread.isLoading) {
      $("older").hidden = false;
      this.#on.older(this.#chat);
    }
    if (this.#isAtEnd) this.#leftAt = Infinity;
    const below = thread.list().filter((message) => message.id > this.#leftAt && message.from !== this.#store.me.name).length;
    $("to-end").hidden = this.#isAtEnd;
    $("to-end-count").textContent = below || "";
    $("to-end").setAttribute("aria-label", `Scroll to the newest message${below ? ` (${below} new)` : ""}`);
    const upTo = this.#isAtEnd ? thread.newest : this.#lastInView();
    if (upTo > 0) this.#on.seen(this.#chat, upTo);
  }

  #lastInView() {
    const bottom = this.#log.getBoundingClientRect().bottom;
    const rows = [...this.#list.querySelectorAll("[data-id]")];
    const row = rows.findLast((one) => one.getBoundingClientRect().bottom <= bottom);
    return Number(row?.dataset.id ?? 0);
  }

  // ---- keyboard: the list is one tab stop, and arrow keys move between messages

  #rove(row) {
    if (!row?.matches(".message")) return;
    for (const one of this.#list.querySelectorAll("li[tabindex='0']")) one.tabIndex = -1;
    row.tabIndex = 0;
  }

  #key(event) {
    const rows = [...this.#list.querySelectorAll(".message")];
    const at = rows.indexOf(event.target);
    if (at < 0) return;
    const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to == null) return;
    event.preventDefault();
    rows[to]?.focus();
  }
}

function belongs(before, message) {
  return before != null && before.type !== "system" && before.from === message.from
    && dayOf(before.at) === dayOf(message.at) && Date.parse(message.at) - Date.parse(before.at) < TOGETHER;
}
