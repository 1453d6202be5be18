// SPDX-License-Identifier: MIT
// A search field for users with suggestions below it (an ARIA combobox), used wherever users are chosen.

import { pictureOf } from "../lib/store.js";
import { avatar, el } from "./dom.js";

let count = 0;

export class People {
  #root;
  #input;
  #list;
  #chips = el("ul", { class: "chips" });
  #search;
  #onPick;
  #users = []; // the suggestions
  #active = -1;
  #searches = 0; // number of the latest search; responses to earlier ones are ignored
  chosen = new Map(); // name → user, if several may be chosen

  // search(text) → promise of users. onPick(user): a user was chosen.
  constructor(root, { label, search, onPick }) {
    const id = `people-${++count}`;
    this.#root = root;
    this.#search = search;
    this.#onPick = onPick;
    this.#list = el("ul", { id: `${id}-list`, role: "listbox", "aria-label": "Suggestions", hidden: true });
    this.#input = el("input", {
      id, role: "combobox", "aria-expanded": "false", "aria-controls": `${id}-list`, "aria-autocomplete": "list",
      autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: "Search by name",
      oninput: () => this.#ask(), onfocus: () => this.#ask(), onkeydown: (event) => this.#key(event), onblur: () => this.#close(),
    });
    root.append(el("label", { for: id }, label), this.#chips, this.#input, this.#list);
  }

  reset() {
    this.chosen.clear();
    this.#input.value = "";
    this.#renderChips();
    this.#close();
  }

  focus() { this.#input.focus(); }

  add(user) {
    this.chosen.set(user.name, user);
    this.#renderChips();
  }

  async #ask() {
    const number = ++this.#searches;
    const text = this.#input.value.trim();
    const users = await this.#search(text).catch(() => []);
    if (number !== this.#searches || document.activeElement !== this.#input) return;
    this.#users = users.filter((user) => !this.chosen.has(user.name)).slice(0, 8);
    this.#active = text && this.#users.length > 0 ? 0 : -1;
    this.#renderList(text);
  }

  #renderList(text) {
    const options = this.#users.map((user, index) => el("li", {
      id: `${this.#input.id}-${index}`, role: "option", "aria-selected": String(index === this.#active),
      onpointerdown: (event) => { event.preventDefault(); this.#pick(user); },
    }, avatar(user.display_name || user.name, user.name, "small", pictureOf(user)), el("b", {}, user.display_name || user.name), el("span", {}, user.name)));
    if (options.length === 0 && text) options.push(el("li", { class: "hint", role: "option", "aria-disabled": "true" }, "No user found"));
    this.#list.replaceChildren(...options);
    this.#list.hidden = options.length === 0;
    this.#input.setAttribute("aria-expanded", String(options.length > 0));
    if (this.#active < 0) this.#input.removeAttribute("aria-activedescendant");
    else this.#input.setAttribute("aria-activedescendant", `${this.#input.id}-${this.#active}`);
    options[this.#active]?.scrollIntoView({ block: "nearest" });
  }

  #close() {
    this.#searches++;
    this.#users = [];
    this.#active = -1;
    this.#renderList("");
  }

  #key(event) {
    const count = this.#users.length;
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && count > 0) {
      this.#active = (this.#active + (event.key === "ArrowDown" ? 1 : count - (this.#active < 0 ? 0 : 1))) % count;
      this.#renderList("");
    } else if (event.key === "Enter" && this.#users[this.#active]) {
      this.#pick(this.#users[this.#active]);
    } else if (event.key === "Enter" && this.#input.value) {
      // No suggestion has arrived yet: keep the text, and don't submit the surrounding form.
    } else if (event.key === "Escape" && !this.#list.hidden) {
      this.#close();
    } else if (event.key === "Backspace" && !this.#input.value && this.chosen.size > 0) {
      this.#remove([...this.chosen.keys()].at(-1));
    } else return;
    event.preventDefault();
  }

  #pick(user) {
    this.#input.value = "";
    this.#close();
    this.#onPick(user);
  }

  #remove(name) {
    this.chosen.delete(name);
    this.#renderChips();
    this.focus();
  }

  #renderChips() {
    this.#chips.hidden = this.chosen.size === 0;
    this.#chips.replaceChildren(...[...this.chosen.values()].map((user) => {
      const name = user.display_name || user.name;
      return el("li", {}, name, el("button", { type: "button", "aria-label": `Remove ${name}`, onclick: () => this.#remove(user.name) }, "×"));
    }));
  }
}
