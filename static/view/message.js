// SPDX-License-Identifier: MIT
// The rows of the message list, as items for reconcile().

import { avatar, el, fullTime, icon, linked, timeOf, tintOf, tool } from "./dom.js";
import { mayManage } from "./members.js";
import { describe } from "./sidebar.js";

export function dayRow(name, day) {
  return { key: `d${day}`, stamp: name, make: () => el("li", { class: "day" }, el("span", {}, name)) };
}

export function unreadRow() {
  return { key: "unread", stamp: "", make: () => el("li", { class: "unread-mark" }, el("span", {}, "New")) };
}

export function systemRow(message) {
  const text = message.text ?? message.content?.text ?? describe(message);
  return { key: `m${message.id}`, stamp: text, make: () => el("li", { class: "system", "data-id": message.id }, text) };
}

// message: from the server, or an outgoing one: {key, state, error, …} without id.
export function messageRow(message, { chat, store, on, isFirst, isLast }) {
  const isOwn = message.from === store.me.name;
  const author = store.displayName(message.from);
  const quoted = message.reply_to ? quotedMessage(store, chat.id, message.reply_to) : null;
  const hasFace = !isOwn && chat.kind !== "direct";
  const picture = hasFace && isLast ? store.picture(message.from) : null;
  const stamp = JSON.stringify([message.rev, message.state, chat.my_role, message.text, isFirst, isLast, author, quoted, hasFace, picture]);
  const classes = ["message", isOwn && "own", isFirst && "first", isLast && "last", hasFace && "faced", message.state];
  const make = () => el("li", { class: classes.filter(Boolean).join(" "), tabindex: "-1", "data-id": message.id },
    hasFace && isLast && avatar(author, message.from, "small", picture),
    el("div", { class: "bubble" },
      hasFace && isFirst
        ? el("b", { class: "author", "data-tint": tintOf(message.from) }, author)
        : el("span", { class: "unseen" }, `${isOwn ? "You" : author}: `),
      quoted && el("button", { class: "quote", type: "button", onclick: () => on.jump(message.reply_to) },
        el("b", {}, quoted.author), el("span", {}, quoted.text)),
      el("div", { class: "text" }, ...(message.text == null ? [el("i", {}, describe(message))] : linked(message.text)), meta(message)),
      message.id && actions(message, isOwn, isOwn || mayManage(chat), on)),
    message.state === "failed" && failure(message, on));
  return { key: message.id ? `m${message.id}` : `p${message.key}`, stamp, make };
}

function meta(message) {
  return el("span", { class: "meta" },
    message.edited_at && el("span", { title: fullTime(message.edited_at) }, "edited"),
    el("time", { datetime: message.at, title: fullTime(message.at) }, timeOf(message.at)),
    message.state && icon(message.state === "failed" ? "alert" : "clock"));
}

function quotedMessage(store, chat, id) {
  if (store.isGone(chat, id)) return { author: "", text: "Deleted message" };
  const original = store.thread(chat).messages.get(id);
  if (!original) return { author: "", text: "An earlier message" };
  return { author: store.displayName(original.from), text: (original.text ?? describe(original)).slice(0, 160) };
}

function failure(message, on) {
  return el("p", { class: "failure" }, `Not sent: ${message.error.message} `,
    el("button", { type: "button", class: "quiet", onclick: () => on.retry(message.key) }, "Try again"), " ",
    el("button", { type: "button", class: "quiet", onclick: () => on.discard(message.key) }, "Discard"));
}

function actions(message, isOwn, mayDelete, on) {
  return el("span", { class: "actions" },
    tool("reply", "Reply", () => on.reply(message)),
    isOwn && message.text != null && tool("edit", "Edit", () => on.edit(message)),
    mayDelete && tool("trash", "Delete", () => on.remove(message)));
}
