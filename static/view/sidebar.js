// SPDX-License-Identifier: MIT
// The list of chats, and below it the user and the state of the connection.

import { $, avatar, el, paintAvatar, reconcile, shortTime } from "./dom.js";

const STATUS = {
  connecting: ["Connecting…", "Connecting to the server"],
  stream: ["Live", "Connected with an event stream"],
  poll: ["Live by long-poll", "Event streams don't work on this network, so the page uses long-polling"],
  offline: ["Offline, retrying…", "The server can’t be reached; the messages shown may be out of date"],
};

export class Sidebar {
  #store;

  constructor({ store, onNew, onSignOut }) {
    this.#store = store;
    $("new-chat").addEventListener("click", onNew);
    $("sign-out").addEventListener("click", onSignOut);
  }

  showStatus(status) {
    const [text, title] = STATUS[status];
    $("status").textContent = text;
    $("status").title = title;
    $("status").dataset.status = status;
  }

  render(current) {
    const store = this.#store;
    const name = store.displayName(store.me.name);
    $("me-name").textContent = name;
    $("me-name").title = store.me.name;
    paintAvatar($("me-avatar"), name, store.me.name, store.picture(store.me.name));
    const chats = store.chatList();
    reconcile($("chats"), chats.map((chat) => this.#item(chat, chat.id === current)));
    $("no-chats").hidden = chats.length > 0;
  }

  #item(chat, isCurrent) {
    const title = this.#store.title(chat);
    const unread = this.#store.unread(chat);
    const last = chat.last_message;
    const time = last ? shortTime(last.at) : "";
    const preview = this.#preview(chat, last);
    const picture = this.#store.picture(chat.peer);
    const stamp = JSON.stringify([title, unread, time, preview, isCurrent, picture]);
    const make = () => el("li", {},
      el("a", { href: `#/chat/${chat.id}`, "aria-current": isCurrent && "page" },
        avatar(title, chat.peer ?? chat.id, "", picture),
        el("span", { class: "title" }, title),
        el("time", { datetime: last?.at }, time),
        el("span", { class: "preview" }, preview),
        unread > 0 && el("span", { class: "badge" }, unread > 99 ? "99+" : unread, el("span", { class: "unseen" }, " unread"))));
    return { key: String(chat.id), stamp, make };
  }

  #preview(chat, last) {
    if (!last) return "No messages yet";
    const text = (last.text ?? describe(last)).slice(0, 200);
    if (last.type === "system") return text;
    if (last.from === this.#store.me.name) return `You: ${text}`;
    return chat.kind === "group" && last.from ? `${this.#store.displayName(last.from)}: ${text}` : text;
  }
}

const SYSTEM_TEXTS = {
  chat_created: (by, { title }) => `${by} created “${title}”`,
  title_changed: (by, { title }) => `${by} changed the title to “${title}”`,
  history_changed: (by, { history }) => `${by} lets new members read ${history === "all" ? "all messages" : "only messages sent after they join"}`,
  message_ttl_changed: (by, { message_ttl: ttl }) => (ttl ? `${by} set new messages to expire after ${ttl} seconds` : `${by} turned message expiry off`),
  retention_changed: (by, { retention }) => (retention ? `Messages in this chat are deleted after ${Math.round(retention / 3600)} hours` : "Messages are no longer deleted automatically"),
  member_added: (by, { name }) => `${by} added ${name}`,
  members_added: (by, { names }) => `${by} added ${names.join(", ")}`,
  members_removed: (by, { names }) => `${by} removed ${names.join(", ")}`,
  member_joined: (by) => `${by} joined`,
  member_banned: (by, { name }) => `${by} banned ${name}`,
  member_left: (by) => `${by} left`,
  member_removed: (by, { name }) => `${by} removed ${name}`,
  role_changed: (by, { name, role }) => `${by} changed the role of ${name} to ${role}`,
  owner_changed: (by, { name }) => `${name} is now the owner`,
  message_pinned: (by) => `${by} pinned a message`,
};

function systemText(by, content) {
  return Object.hasOwn(SYSTEM_TEXTS, content.code) ? SYSTEM_TEXTS[content.code](by, content) : "The chat was changed";
}

// The text for a message that isn't plain text.
export function describe(message) {
  if (message.type === "system") return systemText(message.from, message.content ?? {});
  if (message.type === "encrypted") return "Encrypted message";
  if (message.media) return "Attachment";
  return message.type ? `Message of type “${message.type}”` : "";
}
