// SPDX-License-Identifier: MIT
// The modal dialogs: a confirmation, a prompt for a text, and the creation of a chat.

import { $ } from "./dom.js";
import { People } from "./people.js";

for (const button of document.querySelectorAll("dialog [data-close]")) {
  button.addEventListener("click", () => button.closest("dialog").close("cancel"));
}

// Resolves to false if the user cancels, else to true, or to the trimmed text if `value` is given.
export function ask({ title, text = "", yes, value = null, isDanger = false }) {
  const dialog = $("ask-dialog");
  const input = $("ask-input");
  $("ask-title").textContent = title;
  $("ask-text").textContent = text;
  $("ask-text").hidden = !text;
  $("ask-yes").textContent = yes;
  $("ask-yes").classList.toggle("danger", isDanger);
  input.hidden = value == null;
  input.required = value != null;
  input.value = value ?? "";
  dialog.returnValue = "";
  dialog.showModal();
  if (value == null) $("ask-yes").focus();
  else input.select();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      const isYes = dialog.returnValue === "yes";
      resolve(isYes && value != null ? input.value.trim() : isYes);
    }, { once: true });
  });
}

export class NewChat {
  #dialog = $("new-dialog");
  #form = this.#dialog.querySelector("form");
  #people;
  #create;

  // create({kind, title, members}) → promise; an error that it throws is shown.
  constructor({ search, create }) {
    this.#create = create;
    this.#people = new People($("new-people"), { label: "With", search, onPick: (user) => this.#pick(user) });
    this.#form.addEventListener("change", () => this.#render());
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
  }

  open() {
    this.#form.reset();
    this.#people.reset();
    $("new-error").textContent = "";
    this.#render();
    this.#dialog.showModal();
    this.#people.focus();
  }

  get #isGroup() { return this.#form.elements.kind.value === "group"; }

  #render() {
    $("group-title-row").hidden = !this.#isGroup;
    $("group-title").required = this.#isGroup;
    $("create").textContent = this.#isGroup ? "Create group" : "Start chat";
    $("create").hidden = !this.#isGroup;
  }

  #pick(user) {
    if (!this.#isGroup) this.#people.chosen.clear();
    this.#people.add(user);
    if (this.#isGroup) this.#people.focus();
    else this.#submit();
  }

  async #submit() {
    const members = [...this.#people.chosen.keys()];
    if (members.length === 0 && !this.#isGroup) return this.#people.focus();
    $("create").disabled = true;
    try {
      await this.#create(this.#isGroup ? { kind: "group", title: $("group-title").value.trim(), members, system_messages: "all" } : { kind: "direct", members });
      this.#dialog.close("create");
    } catch (problem) {
      $("new-error").textContent = problem.message;
    } finally {
      $("create").disabled = false;
    }
  }
}
