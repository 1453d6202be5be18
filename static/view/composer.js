// SPDX-License-Identifier: MIT
// The field below a chat, for a new message, a reply or an edit. Each chat keeps its draft.

import { $ } from "./dom.js";

const EMPTY = { text: "", replyTo: null };

export class Composer {
  #store;
  #on;
  #area = $("text");
  #chat = null;
  #drafts = new Map(); // chat → {text, replyTo}
  #replyTo = null; // the message replied to
  #editing = null; // the message being edited, as it was when last read
  #isSaving = false;

  // on: {send(chat, {text, reply_to}), save(message, text) → promise, latestOwn() → message or null}
  // save resolves to null on success, else to {text, message}: the error, and the current message if it still exists.
  constructor({ store, on }) {
    this.#store = store;
    this.#on = on;
    $("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#area.addEventListener("keydown", (event) => this.#key(event));
    this.#area.addEventListener("input", () => this.#render());
    $("context-close").addEventListener("click", () => this.cancel());
  }

  open(chat) {
    this.#keep();
    this.#chat = chat;
    this.#editing = null;
    this.#restore();
  }

  clear() {
    this.#chat = null;
    this.#drafts.clear();
  }

  focus() { this.#area.focus(); }

  reply(message) {
    if (this.#editing) this.cancel();
    this.#replyTo = message;
    this.#render();
    this.focus();
  }

  edit(message) {
    this.#keep();
    this.#editing = message;
    this.#replyTo = null;
    this.#area.value = message.text;
    this.#render();
    this.focus();
    this.#area.setSelectionRange(message.text.length, message.text.length);
  }

  // Cancels the edit if there is one, else the reply.
  cancel() {
    if (this.#editing) {
      this.#editing = null;
      this.#restore();
    } else {
      this.#replyTo = null;
      this.#render();
    }
    this.focus();
  }

  // Cancels the edit or the reply if its message was deleted.
  refresh() {
    const isGone = (message) => message && this.#store.isGone(this.#chat, message.id);
    if (isGone(this.#editing) || isGone(this.#replyTo)) this.cancel();
  }

  #keep() {
    if (this.#chat != null && !this.#editing) this.#drafts.set(this.#chat, { text: this.#area.value, replyTo: this.#replyTo });
  }

  #restore() {
    const { text, replyTo } = this.#drafts.get(this.#chat) ?? EMPTY;
    this.#area.value = text;
    this.#replyTo = replyTo;
    this.#render();
  }

  #render(error = "") {
    const about = this.#editing ?? this.#replyTo;
    $("context").hidden = !about;
    if (about) {
      $("context-icon").setAttribute("href", this.#editing ? "#i-edit" : "#i-reply");
      $("context-title").textContent = this.#editing ? "Edit message" : `Reply to ${this.#store.displayName(about.from)}`;
      $("context-text").textContent = (about.text ?? "").slice(0, 200);
    }
    $("send").setAttribute("aria-label", this.#editing ? "Save" : "Send");
    $("send").disabled = this.#isSaving || !this.#area.value.trim();
    $("composer-error").textContent = error;
    this.#area.parentElement.dataset.text = this.#area.value; // the height of the field follows this text
  }

  #key(event) {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "Escape" && (this.#editing || this.#replyTo)) {
      this.cancel();
    } else if (event.key === "ArrowUp" && !this.#area.value && !this.#replyTo) {
      const message = this.#on.latestOwn();
      if (!message) return;
      event.preventDefault();
      this.edit(message);
    }
  }

  #submit() {
    const text = this.#area.value.trim();
    if (!text || this.#isSaving) return;
    if (this.#editing) return this.#save(text);
    this.#on.send(this.#chat, this.#replyTo ? { text, reply_to: this.#replyTo.id } : { text });
    this.#replyTo = null;
    this.#area.value = "";
    this.#render();
    this.focus();
  }

  async #save(text) {
    const message = this.#editing;
    if (text === message.text) return this.cancel();
    this.#isSaving = true;
    this.#render();
    const failure = await this.#on.save(message, text);
    this.#isSaving = false;
    if (this.#editing !== message) return this.#render();
    if (!failure) return this.cancel();
    this.#editing = failure.message ?? this.#editing;
    this.#render(failure.text);
  }
}
