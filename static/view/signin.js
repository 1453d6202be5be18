// SPDX-License-Identifier: MIT
// The sign-in form.

import { $ } from "./dom.js";

export class SignIn {
  #root = $("signin");
  #form = this.#root.querySelector("form");
  #error = $("signin-error");

  // signIn(name, password) → promise; an error that it throws is shown.
  constructor(signIn) {
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit(signIn);
    });
  }

  set isShown(shown) {
    const appears = shown && this.#root.hidden;
    this.#root.hidden = !shown;
    if (!shown) $("signin-note").textContent = "";
    if (!appears) return;
    this.#error.textContent = "";
    $("signin-password").value = "";
    ($("signin-name").value ? $("signin-password") : $("signin-name")).focus();
  }

  // Shows a text above the button until the form is hidden.
  note(text) { $("signin-note").textContent = text; }

  async #submit(signIn) {
    const button = this.#form.querySelector("button");
    if (button.disabled) return;
    button.disabled = true;
    this.#error.textContent = "";
    try {
      await signIn($("signin-name").value.trim().toLowerCase(), $("signin-password").value);
    } catch (problem) {
      this.#error.textContent = problem.status === 401 ? "That name and password don’t match." : problem.message;
      $("signin-password").select();
    } finally {
      button.disabled = false;
    }
  }
}
