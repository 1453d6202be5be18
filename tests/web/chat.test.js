// SPDX-License-Identifier: MIT
// What people do on the page.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Page, hold, launch } from "./page.js";
import { Server } from "./server.js";

const server = new Server();
const pages = [];
let browser, alice, bob, carol;

before(async () => {
  await server.start();
  [alice, bob, carol] = [await server.addUser("alice"), await server.addUser("bob"), await server.addUser("carol")];
  browser = await launch();
});
afterEach(async () => { for (const page of pages.splice(0)) await page.close(); });
after(async () => {
  await browser?.close();
  await server.remove();
});

async function open(options) {
  const page = await Page.open(browser, server, options);
  pages.push(page);
  return page;
}

// Two people, each with a browser, in a new group.
async function two(title) {
  const chat = await alice.createGroup(title, bob);
  const [hers, his] = [await open(), await open()];
  await hers.enter(alice, chat);
  await his.enter(bob, chat);
  return { chat, hers, his };
}

test("the page comes with a policy that allows nothing from elsewhere, and nothing inline", async () => {
  const page = await open();
  const response = await page.page.goto(server.url);
  const policy = response.headers()["content-security-policy"];
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe|\*|https?:|script-src|style-src/);
  await page.page.getByLabel("User name").waitFor();
});

test("a wrong password is refused, the right one lets in, signing out ends it", async () => {
  const page = await open();
  page.expect(/401 .*\/v1\/session$/);
  await page.signIn(alice, "not this");
  await page.page.getByRole("alert").filter({ hasText: "don’t match" }).waitFor();
  await page.signIn(alice);
  await page.isConnected("stream");
  await page.page.getByRole("button", { name: "Sign out" }).click();
  await page.page.getByLabel("User name").waitFor();
  await page.page.reload();
  await page.page.getByLabel("User name").waitFor();
});

test("a reset link leads to a new password, once", async () => {
  const dora = await server.addUser("dora");
  const token = await server.resetLink(dora);
  const page = await open();
  page.expect(/422 .*\/v1\/password-reset$/, /404 .*\/v1\/password-reset$/);
  await page.page.goto(`${server.url}/#reset=${token}`);
  await page.page.getByLabel("New password").fill("x".repeat(1100));
  assert.ok(!page.page.url().includes(token));
  await page.page.getByRole("button", { name: "Set password" }).click();
  await page.page.getByRole("alert").filter({ hasText: "1024" }).waitFor();
  await page.page.getByLabel("New password").fill("over the wall");
  await page.page.getByRole("button", { name: "Set password" }).click();
  await page.page.getByRole("status").filter({ hasText: "is set" }).waitFor();
  await page.page.getByLabel("User name").fill("dora");
  await page.page.getByLabel("Password").fill("over the wall");
  await page.page.getByRole("button", { name: "Sign in" }).click();
  await page.isConnected("stream");
  await page.page.goto(`${server.url}/#reset=${token}`); // while one is in: the address changes, nothing is loaded
  await page.page.getByLabel("New password").fill("once again");
  await page.page.getByRole("button", { name: "Set password" }).click();
  await page.page.getByRole("alert").filter({ hasText: "used already" }).waitFor();
  await page.page.getByRole("button", { name: "Cancel" }).click();
  await page.page.getByRole("button", { name: "Sign out" }).waitFor();
});

test("what is announced is shown, live and later, until it is dismissed or gone", async () => {
  const root = await server.addUser("root", "--admin");
  const announce = (text) => root.call("POST", "/v1/admin/announcements", { text });
  const first = await announce("Maintenance at noon");
  const hers = await open();
  await hers.signIn(alice);
  await hers.isConnected("stream");
  const shown = hers.page.getByRole("region", { name: "Announcements" }).getByRole("listitem");
  await shown.filter({ hasText: "Maintenance at noon" }).waitFor();
  const second = await announce("<b>It</b> is over");
  await shown.filter({ hasText: "<b>It</b> is over" }).waitFor();
  await shown.filter({ hasText: "noon" }).getByRole("button", { name: "Dismiss" }).click();
  await hers.page.reload();
  await shown.filter({ hasText: "is over" }).waitFor();
  assert.equal(await shown.count(), 1);
  await root.call("DELETE", `/v1/admin/announcements/${second.id}`);
  await shown.filter({ hasText: "is over" }).waitFor({ state: "detached" });
  await root.call("DELETE", `/v1/admin/announcements/${first.id}`);
});

test("two browsers chat, live in both directions", async () => {
  const { hers, his } = await two("Both ways");
  await hers.write("Is the gate open?");
  await his.sees("Is the gate open?");
  await his.write("It always is.");
  await hers.sees("It always is.");
  await hers.sees("Is the gate open?");
});

test("Shift+Enter is a new line, markup is text, addresses are links", async () => {
  const { hers, his } = await two("Text");
  await hers.composer.pressSequentially("first");
  await hers.composer.press("Shift+Enter");
  await hers.composer.pressSequentially("<img src=x onerror=alert(1)> https://example.org/a_(b)?c=d.");
  await hers.composer.press("Enter");
  await his.sees("first\n<img src=x onerror=alert(1)>");
  assert.equal(await his.message("first").getByRole("link").getAttribute("href"), "https://example.org/a_(b)?c=d");
  assert.equal(await his.message("first").locator("img").count(), 0);
});

test("an edit, a reply and a delete appear at the other's", async () => {
  const { hers, his } = await two("Second thoughts");
  await hers.write("Meet at noon");
  await his.sees("Meet at noon");
  await hers.act("Meet at noon", "Edit");
  await hers.write("Meet at one");
  await his.sees("Meet at one");
  await his.message("Meet at one").getByText("edited").waitFor();
  await his.act("Meet at one", "Reply");
  await his.write("Fine with me");
  await hers.message("Fine with me").locator(".quote").filter({ hasText: "Meet at one" }).waitFor();
  await hers.message("Meet at one").first().hover();
  await hers.message("Meet at one").first().getByRole("button", { name: "Delete" }).click();
  await hers.page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await his.message("Fine with me").locator(".quote").filter({ hasText: "Deleted message" }).waitFor();
  assert.equal(await his.message("Meet at one").count(), 0);
  assert.equal(await hers.message("Meet at one").count(), 0);
});

test("an edit that crosses another one is told, and kept", async () => {
  const chat = await alice.createGroup("Crossing", bob);
  const message = await alice.send(chat, "Draft one");
  const hers = await open();
  hers.expect(/412 /);
  await hers.enter(alice, chat);
  await hers.act("Draft one", "Edit");
  await alice.edit(message, "Draft from the phone");
  await hers.sees("Draft from the phone");
  await hers.write("Draft two");
  await hers.page.getByRole("alert").filter({ hasText: "changed elsewhere" }).waitFor();
  await hers.composer.press("Enter");
  await hers.sees("Draft two");
});

test("scrolling up brings older messages and keeps the place", async () => {
  const chat = await alice.createGroup("Long", bob);
  const texts = Array.from({ length: 120 }, (_, index) => `line ${index + 1}.`);
  await bob.sendMany(chat, texts);
  await alice.call("POST", `/v1/chats/${chat.id}/read`, { up_to: (await bob.send(chat, "the end")).id });
  const hers = await open();
  await hers.enter(alice, chat);
  await hers.sees("the end");
  assert.equal(await hers.message(/line 1\./).count(), 0);
  const log = hers.page.locator("#log");
  const mark = hers.message(/line 80\./);
  const held = await hold(hers.page, /messages\?.*before=/);
  await mark.scrollIntoViewIfNeeded();
  await held.isAsked;
  const { y } = await mark.boundingBox();
  held.release();
  await hers.message(/line 40\./).waitFor({ state: "attached" });
  assert.ok(Math.abs((await mark.boundingBox()).y - y) < 2, "what was in view has not moved");
  await log.evaluate((element) => { element.scrollTop = 0; });
  await hers.message(/line 1\./).waitFor({ state: "attached" });
  await hers.message(/line 1\./).scrollIntoViewIfNeeded();
  assert.deepEqual(await hers.texts(/^line/), texts);

  await bob.send(chat, "news from below");
  await hers.page.getByRole("button", { name: "Scroll to the newest message (1 new)" }).click();
  await hers.sees("news from below");
});

test("a quote leads to the message that it quotes", async () => {
  const chat = await alice.createGroup("Quotes", bob);
  const first = await bob.send(chat, "in the beginning");
  await bob.sendMany(chat, Array.from({ length: 300 }, (_, index) => `line ${index + 1}.`));
  await alice.send(chat, "as you said", first);
  const hers = await open();
  await hers.enter(alice, chat);
  await hers.message("as you said").locator(".quote").click();
  await hers.page.locator(".message:focus").filter({ hasText: "in the beginning" }).waitFor();
  assert.ok(await hers.message("in the beginning").first().isVisible());
});

test("what is unread is counted, marked, and read by looking", async () => {
  const chat = await alice.createGroup("Letters", bob);
  const hers = await open();
  await hers.signIn(alice);
  await hers.isConnected("stream");
  await bob.send(chat, "one");
  await bob.send(chat, "two");
  await hers.chatLink("Letters").getByText("2 unread").waitFor();
  const isRead = hers.page.waitForResponse((response) => response.url().endsWith("/read") && response.ok());
  await hers.openChat("Letters");
  await hers.page.locator(".unread-mark").waitFor();
  await isRead;
  await hers.page.reload();
  await hers.isConnected("stream");
  assert.equal(await hers.chatLink("Letters").getByText("unread", { exact: true }).count(), 0);
});

test("a reload keeps the session and the chat", async () => {
  const { hers, his } = await two("Reload");
  await his.write("before");
  await hers.sees("before");
  await hers.page.reload();
  await hers.sees("before");
  await his.write("after");
  await hers.sees("after");
});

test("a direct chat begins with a search for a name", async () => {
  const [hers, his] = [await open(), await open()];
  await hers.signIn(alice);
  await his.signIn(carol);
  await his.isConnected("stream");
  await hers.page.getByRole("button", { name: "New chat" }).click();
  await hers.page.getByRole("combobox", { name: "With" }).fill("car");
  await hers.page.getByRole("option", { name: "carol" }).click();
  await hers.write("Just us");
  await his.chatLink("alice").click();
  await his.sees("Just us");
});

test("a group is made, renamed, joined and left", async () => {
  const [hers, his] = [await open(), await open()];
  await hers.signIn(alice);
  await his.signIn(bob);
  await his.isConnected("stream");
  await hers.page.getByRole("button", { name: "New chat" }).click();
  await hers.page.getByText("Group", { exact: true }).click();
  await hers.page.getByLabel("Group name").fill("Fence");
  await hers.page.getByRole("combobox", { name: "With" }).fill("bo");
  await hers.page.getByRole("option", { name: "bob" }).click();
  await hers.page.getByRole("button", { name: "Create group" }).click();
  await his.openChat("Fence");

  await hers.page.getByRole("button", { name: "Rename group" }).click();
  await hers.page.getByRole("dialog").getByRole("textbox").fill("Hedge");
  await hers.page.keyboard.press("Enter");
  await his.page.getByRole("heading", { level: 2, name: "Hedge" }).waitFor();

  await hers.page.getByRole("button", { name: "Members" }).click();
  const panel = hers.page.getByRole("complementary");
  await panel.getByRole("combobox").fill("carol");
  await panel.getByRole("option", { name: "carol" }).click();
  await panel.getByRole("button", { name: "Remove carol" }).waitFor();
  await his.page.getByText("3 members").waitFor();
  await panel.getByRole("button", { name: "Remove bob" }).click();
  await hers.page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await his.page.getByText("You are no longer in that chat.").waitFor();
  assert.equal(await his.chatLink("Hedge").count(), 0);

  await panel.getByRole("button", { name: "Leave group" }).click();
  await hers.page.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
  await hers.page.getByText("Choose a chat").waitFor();
  assert.equal(await hers.chatLink("Hedge").count(), 0);
});

test("a picture is chosen, seen by the others at once, and taken away", async () => {
  const { hers, his } = await two("Pictures");
  await hers.write("How do I look?");
  await his.sees("How do I look?");
  const face = his.message("How do I look?").locator(".avatar");
  assert.equal(await face.textContent(), "A");
  assert.equal(await face.locator("img").count(), 0);
  await hers.page.getByRole("button", { name: "Your picture" }).click();
  const dialog = hers.page.getByRole("dialog");
  const choose = (name, mimeType, buffer) => hers.page.locator("#picture-file").setInputFiles({ name, mimeType, buffer });
  await choose("note.png", "image/png", Buffer.from("no picture"));
  await dialog.getByRole("alert").filter({ hasText: "no picture" }).waitFor();
  const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mPQmjsBAAJMAVjbh4HsAAAAAElFTkSuQmCC";
  await choose("pixel.png", "image/png", Buffer.from(pixel, "base64"));
  await dialog.locator("#picture-now img").waitFor();
  await face.locator("img").waitFor();
  assert.equal(await face.locator("img").evaluate((img) => img.decode().then(() => img.naturalWidth)), 256);
  await hers.page.locator("#me-avatar img").waitFor();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await face.locator("img").waitFor({ state: "detached" });
  await hers.page.locator("#me-avatar img").waitFor({ state: "detached" });
  assert.equal(await dialog.getByRole("button", { name: "Remove" }).count(), 0);
  await dialog.getByRole("button", { name: "Close" }).click();
});

test("on a phone there is one thing at a time", async () => {
  const chat = await alice.createGroup("Pocket", bob);
  const hers = await open({ viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true });
  await hers.enter(alice, chat);
  await hers.write("from the road");
  await hers.sees("from the road");
  assert.equal(await hers.page.getByRole("navigation").isVisible(), false);
  assert.ok(await hers.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await hers.page.goBack();
  await hers.chatLink("Pocket").waitFor();
});
