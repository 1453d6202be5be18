// SPDX-License-Identifier: MIT
// The state of the client: me, users, chats, members, messages. Every object arrives as a snapshot with a `rev` and is
// upserted, so that receiving it twice or late is harmless. Must not call the server or touch the page: it requests
// missing objects with `on.needChat` and `on.needUser`.

import { Thread } from "./thread.js";

const isNewer = (known, incoming) => !known || !(known.rev > incoming.rev);

// The URL of a user's picture, or null. Another picture has another URL.
export const pictureOf = (user) => (user?.avatar ? `v1/users/${encodeURIComponent(user.name)}/avatar?v=${user.avatar}` : null);

export class Store {
  me = null;
  users = new Map(); // name → user
  chats = new Map(); // id → chat, with the viewer's own fields
  #threads = new Map(); // id → Thread
  #members = new Map(); // id → Map name → member
  #on;
  #changeTimer = null;

  // on: {change(), needChat(chat), needUser(name), dropped(chat)}. change() is called once for several changes in a row.
  constructor(on) { this.#on = on; }

  #changed() {
    this.#changeTimer ??= setTimeout(() => {
      this.#changeTimer = null;
      this.#on.change();
    });
  }

  // Replaces the state with a response of /v1/sync.
  load({ me, chats }) {
    this.#threads.clear();
    this.#members.clear();
    this.chats.clear();
    this.me = me;
    this.putUser(me);
    for (const chat of chats) this.putChat(chat);
    this.#changed();
  }

  clear() {
    for (const map of [this.users, this.chats, this.#threads, this.#members]) map.clear();
    this.me = null;
  }

  apply(kind, data) {
    if (kind === "message") this.#applyMessage(data);
    else if (kind === "deleted") this.dropMessage(data.chat, data.id);
    else if (kind === "chat") this.#applyChat(data);
    else if (kind === "member") this.#applyMember(data);
    else if (kind === "user") this.putUser(data);
  }

  // ---- users

  putUser(user) {
    if (isNewer(this.users.get(user.name), user)) this.users.set(user.name, user);
    if (user.name === this.me?.name) this.me = { ...this.me, ...user };
    this.#changed();
  }

  #requireUser(name) {
    if (name && !this.users.has(name)) this.#on.needUser(name);
  }

  displayName(name) {
    const user = this.users.get(name);
    return user?.state === "deleted" ? `Deleted user (${name})` : user?.display_name || name;
  }

  picture(name) { return pictureOf(this.users.get(name)); }

  // ---- chats

  // A chat with the fields that depend on the user: from GET, sync, or the response to a POST.
  putChat(chat) {
    const known = this.chats.get(chat.id);
    const seen = chat.last_message?.id ?? 0;
    const merged = { ...known, ...chat, base: chat.unread ?? 0, seen, fresh: new Set() };
    // Keeps what the feed delivered after the server read this response.
    if (known?.last_message?.id > seen) merged.last_message = known.last_message;
    for (const id of known?.fresh ?? []) if (id > seen) merged.fresh.add(id);
    this.chats.set(chat.id, merged);
    this.#requireUser(chat.peer);
    this.#requireUser(chat.last_message?.from);
    this.#changed();
  }

  title(chat) { return chat.kind === "direct" && chat.peer ? this.displayName(chat.peer) : chat.title || "Untitled"; }

  // Ordered by activity, latest first.
  chatList() {
    const when = (chat) => chat.last_message?.at ?? chat.created_at ?? "";
    return [...this.chats.values()].sort((a, b) => (when(a) < when(b) ? 1 : when(a) > when(b) ? -1 : b.id - a.id));
  }

  directWith(name) { return [...this.chats.values()].find((chat) => chat.kind === "direct" && chat.peer === name); }

  unread(chat) { return chat.base + chat.fresh.size; }

  totalUnread() { return [...this.chats.values()].reduce((sum, chat) => sum + this.unread(chat), 0); }

  // The first unread message, or null.
  firstUnread(chat) {
    if (chat.base > 0 && chat.first_unread) return chat.first_unread;
    return chat.fresh.size > 0 ? Math.min(...chat.fresh) : null;
  }

  // Whether to send a read mark: the user's own messages and system messages never count as unread.
  markRead(id, upTo) {
    const chat = this.chats.get(id);
    if (!chat || !(upTo > (chat.read ?? 0))) return false;
    const wasUnread = this.unread(chat) > 0;
    chat.read = upTo;
    if (upTo >= chat.seen) chat.base = 0;
    for (const one of chat.fresh) if (one <= upTo) chat.fresh.delete(one);
    this.#changed();
    return wasUnread;
  }

  dropChat(id) {
    if (!this.chats.delete(id)) return;
    this.#threads.delete(id);
    this.#members.delete(id);
    this.#on.dropped(id);
    this.#changed();
  }

  #applyChat(data) {
    if (data.state === "deleted") return this.dropChat(data.id);
    const known = this.chats.get(data.id);
    if (!known) return this.#on.needChat(data.id);
    if (!isNewer(known, data)) return;
    const title = known.kind === "direct" ? known.title : data.title; // that of a direct chat depends on the user
    this.chats.set(data.id, { ...known, ...data, title });
    this.#changed();
  }

  // ---- members

  // null until they have been fetched.
  members(id) { return this.#members.get(id) ?? null; }

  putMembers(id, members) {
    const known = this.#members.get(id);
    const map = new Map();
    for (const member of members) map.set(member.name, isNewer(known?.get(member.name), member) ? member : known.get(member.name));
    this.#members.set(id, map);
    for (const name of map.keys()) this.#requireUser(name);
    this.#changed();
  }

  #applyMember(data) {
    const map = this.#members.get(data.chat);
    if (map) this.#requireUser(data.name);
    if (map && isNewer(map.get(data.name), data)) map.set(data.name, data);
    if (data.name === this.me.name) this.#applyOwnMember(data);
    this.#changed();
  }

  #applyOwnMember(data) {
    if (data.state !== "joined") return this.dropChat(data.chat);
    const chat = this.chats.get(data.chat);
    if (chat) this.chats.set(chat.id, { ...chat, my_role: data.role, muted_until: data.muted_until });
    else this.#on.needChat(data.chat);
  }

  // ---- messages

  thread(id) {
    if (!this.#threads.has(id)) this.#threads.set(id, new Thread());
    return this.#threads.get(id);
  }

  putPage(id, page) {
    this.thread(id).addPage(page);
    for (const message of page.messages) this.#requireUser(message.from);
    this.#changed();
  }

  // From the response to a send or an edit.
  putMessage(message) { this.#applyMessage(message); }

  isGone(chat, id) { return this.thread(chat).gone.has(id); }

  #applyMessage(message) {
    const chat = this.chats.get(message.chat);
    if (!chat) return this.#on.needChat(message.chat);
    const thread = this.thread(message.chat);
    if (thread.gone.has(message.id)) return;
    thread.upsert(message);
    this.#requireUser(message.from);
    const last = chat.last_message;
    if (!last || message.id > last.id || (message.id === last.id && message.rev >= last.rev)) chat.last_message = message;
    const isFresh = message.id > chat.seen && message.id > (chat.read ?? 0);
    if (isFresh && message.from !== this.me.name && message.type !== "system") chat.fresh.add(message.id);
    this.#changed();
  }

  dropMessage(id, messageId) {
    const thread = this.thread(id);
    if (thread.gone.has(messageId)) return;
    const author = thread.messages.get(messageId)?.from;
    thread.remove(messageId);
    const chat = this.chats.get(id);
    if (!chat) return;
    const wasFresh = chat.fresh.delete(messageId);
    if (!wasFresh && messageId >= (chat.first_unread ?? Infinity) && author !== this.me.name) chat.base = Math.max(0, chat.base - 1);
    if (chat.last_message?.id === messageId) {
      chat.last_message = thread.isLoaded ? thread.list().at(-1) : undefined;
      if (!chat.last_message) this.#on.needChat(id);
    }
    this.#changed();
  }
}
