// SPDX-License-Identifier: MIT
// The panel of a group's members: list, add, remove, leave.

import { $, avatar, el, reconcile, tool } from "./dom.js";
import { People } from "./people.js";

const RANK = { owner: 0, admin: 1, member: 2 };

export const mayManage = (chat) => chat.kind !== "direct" && ["owner", "admin"].includes(chat.my_role);

export class Members {
  #store;
  #on;
  #chat = null; // the chat whose panel is open
  #people;

  // on: {search(text), load(chat), add(chat, user), remove(chat, member), leave(chat)}
  constructor({ store, on }) {
    this.#store = store;
    this.#on = on;
    this.#people = new People($("add-member"), { label: "Add someone", search: (text) => this.#candidates(text), onPick: (user) => on.add(this.#chat, user) });
    $("show-members").addEventListener("click", () => on.toggle());
    $("hide-members").addEventListener("click", () => on.toggle());
    $("leave").addEventListener("click", () => on.leave(this.#chat));
    $("members").addEventListener("keydown", (event) => { if (event.key === "Escape" && !event.defaultPrevented) on.toggle(); });
  }

  async #candidates(text) {
    const known = this.#store.members(this.#chat);
    const users = await this.#on.search(text);
    return users.filter((user) => known?.get(user.name)?.state !== "joined");
  }

  // Shows the panel of the chat with that id; null closes it.
  show(id) {
    if (id === this.#chat) return;
    const wasOpen = this.#chat != null;
    this.#chat = id;
    $("members").hidden = id == null;
    $("show-members").setAttribute("aria-expanded", String(id != null));
    this.#people.reset();
    if (id != null) this.#on.load(id);
    if (id != null && !wasOpen) $("hide-members").focus();
    else if (wasOpen && id == null) $("show-members").focus();
  }

  render() {
    const chat = this.#store.chats.get(this.#chat);
    if (!chat) return;
    $("add-member").hidden = !mayManage(chat);
    $("leave").hidden = chat.kind === "direct";
    $("leave").textContent = `Leave ${chat.kind}`;
    const joined = [...(this.#store.members(this.#chat)?.values() ?? [])].filter((member) => member.state === "joined");
    const name = (member) => this.#store.displayName(member.name);
    joined.sort((a, b) => RANK[a.role] - RANK[b.role] || name(a).localeCompare(name(b)));
    $("members-title").textContent = joined.length > 0 ? `Members (${joined.length})` : "Members";
    reconcile($("member-list"), joined.map((member) => this.#item(chat, member)));
  }

  #item(chat, member) {
    const isMe = member.name === this.#store.me.name;
    const name = this.#store.displayName(member.name);
    const picture = this.#store.picture(member.name);
    const mayRemove = mayManage(chat) && !isMe && RANK[member.role] > RANK[chat.my_role];
    const make = () => el("li", {},
      avatar(name, member.name, "small", picture),
      el("span", { class: "who" }, el("b", {}, isMe ? `${name} (you)` : name), el("span", {}, member.name)),
      member.role !== "member" && el("span", { class: "role" }, member.role),
      mayRemove && tool("close", `Remove ${name}`, () => this.#on.remove(chat.id, member.name)));
    return { key: member.name, stamp: JSON.stringify([name, member.role, isMe, mayRemove, picture]), make };
  }
}
