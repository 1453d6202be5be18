// SPDX-License-Identifier: MIT
// Opens the page in a browser. The methods are the user's actions and what the page shows, in the user's words.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";
import { PASSWORD } from "./server.js";

export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });
}

// Holds back responses to requests for the address until release(). isAsked resolves on the first such request.
export async function hold(page, address) {
  let release, asked;
  const isReleased = new Promise((resolve) => { release = resolve; });
  const isAsked = new Promise((resolve) => { asked = resolve; });
  await page.route(address, async (route) => {
    const response = await route.fetch();
    asked();
    await isReleased;
    await route.fulfill({ response });
  });
  return { isAsked, release };
}

// A page of the server in its own browser profile. It records errors, which close() asserts were expected.
export class Page {
  #errors = [];
  #expected = [/401 .*\/v1\/sync$/]; // the page's first request, when no user is signed in

  // server: an object with a url.
  static async open(browser, server, options = {}) {
    const self = new Page();
    self.server = server;
    const context = await browser.newContext({ viewport: { width: 1100, height: 700 }, ...options });
    context.setDefaultTimeout(20_000);
    self.page = await context.newPage();
    self.#watch();
    return self;
  }

  #watch() {
    const note = (text) => this.#errors.push(text);
    this.page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) note(`${message.text()} ${message.location().url}`);
    });
    this.page.on("pageerror", (error) => note(error.stack));
    this.page.on("request", (request) => {
      if (!request.url().startsWith(`${this.server.url}/`)) note(`request to another server: ${request.url()}`);
    });
  }

  expect(...patterns) { this.#expected.push(...patterns); }

  // Closes the page and asserts that it logged no error (such as a CSP violation) and sent no request elsewhere.
  async close() {
    await this.page.context().close();
    assert.deepEqual(this.#errors.filter((text) => !this.#expected.some((pattern) => pattern.test(text))), []);
  }

  async signIn(user, password = PASSWORD) {
    await this.page.goto(this.server.url);
    await this.page.getByLabel("User name").fill(user.name);
    await this.page.getByLabel("Password").fill(password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
  }

  // Signs in, waits for the connection and opens the chat.
  async enter(user, chat, status = "stream") {
    await this.signIn(user);
    await this.isConnected(status);
    await this.openChat(chat.title);
  }

  isConnected(by) { return this.page.locator(`#status[data-status=${by}]`).waitFor(); }

  async openChat(title) {
    await this.chatLink(title).click();
    await this.page.getByRole("heading", { level: 2, name: title }).waitFor();
  }

  // Matches the beginning of the link, because the link contains the last message too.
  chatLink(title) {
    const start = new RegExp(`^${title.replace(/[^\w\s]/gu, "\\$&")}`);
    return this.page.getByRole("navigation").getByRole("link", { name: start });
  }

  get composer() { return this.page.getByRole("textbox", { name: "Message" }); }

  async write(text) {
    await this.composer.fill(text);
    await this.composer.press("Enter");
  }

  // The messages whose text contains that text, or matches it.
  message(text) { return this.page.locator(".message").filter({ hasText: text }); }

  // Waits for exactly one such message that is neither pending nor failed.
  async sees(text) {
    const message = this.message(text);
    await message.and(this.page.locator(":not(.sending):not(.failed)")).waitFor();
    assert.equal(await message.count(), 1, `“${text}” is shown once`);
  }

  async act(text, action) {
    await this.message(text).hover();
    await this.message(text).getByRole("button", { name: action, exact: true }).click();
  }

  // Returns the texts of the messages that match, in the page's order.
  async texts(pattern) {
    const all = await this.page.locator(".message .text")
      .evaluateAll((elements) => elements.map((element) => element.firstChild.textContent));
    return all.filter((text) => pattern.test(text));
  }
}
