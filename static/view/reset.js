// SPDX-License-Identifier: MIT
// The form for a new password, which an administrator's link opens. It is created when shown and removed afterwards.

import { $, el, icon } from "./dom.js";

// Returns the token of such a link, or null.
export function resetToken(hash) {
  return /^#\/?reset=([\w-]+)$/.exec(hash)?.[1] ?? null;
}

export class Reset {
  #root = $("reset");
  #on;

  // on: {redeem(token, password) → promise, its errors are shown; done(); cancel()}
  constructor(on) { this.#on = on; }

  show(token) {
    const password = el("input", {
      id: "reset-password", name: "password", type: "password", autocomplete: "new-password", minlength: "8", required: true,
    });
    const error = el("p", { class: "error", role: "alert" });
    const button = el("button", { class: "primary" }, "Set password");
    const mark = icon("gate");
    mark.classList.add("mark");
    const form = el("form", { class: "card", method: "post", action: "v1/password-reset" },
      mark, el("h1", {}, "Choose a new password"), el("label", { for: "reset-password" }, "New password"), password, error, button,
      el("button", { class: "quiet", type: "button", onclick: () => this.#on.cancel() }, "Cancel"));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (button.disabled) return;
      button.disabled = true;
      error.textContent = "";
      try {
        await this.#on.redeem(token, password.value);
        this.#on.done();
      } catch (problem) {
        error.textContent = problem.status === 404 ? "This link was used already or has expired. Ask an administrator for a new one." : problem.message;
        password.select();
      } finally {
        button.disabled = false;
      }
    });
    this.#root.replaceChildren(form);
    this.#root.hidden = false;
    password.focus();
  }

  hide() {
    this.#root.hidden = true;
    this.#root.replaceChildren();
  }
}
