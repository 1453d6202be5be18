// SPDX-License-Identifier: MIT
// The page in a real browser: what users do on it. Tests with two users use two browsers.

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

// Signs alice and bob in, each in their own browser, and opens a new group of both.
async function two(title) {
  const chat = await alice.createGroup(title, bob);
  const [aliceView, bobView] = [await open(), await open()];
  await aliceView.enter(alice, chat);
  await bobView.enter(bob, chat);
  return { chat, aliceView, bobView };
}

test("page_policy_forbids_foreign_and_inline_content", async () => {
  const page = await open();
  const response = await page.page.goto(server.url);
  const policy = response.headers()["content-security-policy"];
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /unsafe|\*|https?:|script-src|style-src/);
  await page.page.getByLabel("User name").waitFor();
});

test("sign_in_with_wrong_password_is_refused_and_sign_out_ends_the_session", async () => {
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

test("reset_link_sets_a_new_password_once", async () => {
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
  // A user is signed in: the URL changes, but the page is not loaded again.
  await page.page.goto(`${server.url}/#reset=${token}`);
  await page.page.getByLabel("New password").fill("once again");
  await page.page.getByRole("button", { name: "Set password" }).click();
  await page.page.getByRole("alert").filter({ hasText: "used already" }).waitFor();
  await page.page.getByRole("button", { name: "Cancel" }).click();
  await page.page.getByRole("button", { name: "Sign out" }).waitFor();
});

test("announcement_is_shown_until_dismissed_or_deleted", async () => {
  const root = await server.addUser("root", "--admin");
  const announce = (text) => root.call("POST", "/v1/admin/announcements", { text });
  const first = await announce("Maintenance at noon");
  const aliceView = await open();
  await aliceView.signIn(alice);
  await aliceView.isConnected("stream");
  const shown = aliceView.page.getByRole("region", { name: "Announcements" }).getByRole("listitem");
  await shown.filter({ hasText: "Maintenance at noon" }).waitFor();
  const second = await announce("<b>It</b> is over");
  await shown.filter({ hasText: "<b>It</b> is over" }).waitFor();
  await shown.filter({ hasText: "noon" }).getByRole("button", { name: "Dismiss" }).click();
  await aliceView.page.reload();
  await shown.filter({ hasText: "is over" }).waitFor();
  assert.equal(await shown.count(), 1);
  await root.call("DELETE", `/v1/admin/announcements/${second.id}`);
  await shown.filter({ hasText: "is over" }).waitFor({ state: "detached" });
  await root.call("DELETE", `/v1/admin/announcements/${first.id}`);
});

test("messages_between_two_browsers_appear_live", async () => {
  const { aliceView, bobView } = await two("Both ways");
  await aliceView.write("Is the gate open?");
  await bobView.sees("Is the gate open?");
  await bobView.write("It always is.");
  await aliceView.sees("It always is.");
  await aliceView.sees("Is the gate open?");
});

test("message_text_keeps_lines_and_markup_and_links_addresses", async () => {
  const { aliceView, bobView } = await two("Text");
  await aliceView.composer.pressSequentially("first");
  await aliceView.composer.press("Shift+Enter");
  await aliceView.composer.pressSequentially("<img src=x onerror=alert(1)> https://example.org/a_(b)?c=d.");
  await aliceView.composer.press("Enter");
  await bobView.sees("first\n<img src=x onerror=alert(1)>");
  assert.equal(await bobView.message("first").getByRole("link").getAttribute("href"), "https://example.org/a_(b)?c=d");
  assert.equal(await bobView.message("first").locator("img").count(), 0);
});

test("edit_reply_and_delete_appear_in_the_other_browser", async () => {
  const { aliceView, bobView } = await two("Second thoughts");
  await aliceView.write("Meet at noon");
  await bobView.sees("Meet at noon");
  await aliceView.act("Meet at noon", "Edit");
  await aliceView.write("Meet at one");
  await bobView.sees("Meet at one");
  await bobView.message("Meet at one").getByText("edited").waitFor();
  await bobView.act("Meet at one", "Reply");
  await bobView.write("Fine with me");
  await aliceView.message("Fine with me").locator(".quote").filter({ hasText: "Meet at one" }).waitFor();
  await aliceView.message("Meet at one").first().hover();
  await aliceView.message("Meet at one").first().getByRole("button", { name: "Delete" }).click();
  await aliceView.page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await bobView.message("Fine with me").locator(".quote").filter({ hasText: "Deleted message" }).waitFor();
  assert.equal(await bobView.message("Meet at one").count(), 0);
  assert.equal(await aliceView.message("Meet at one").count(), 0);
});

test("edit_of_a_message_changed_elsewhere_is_reported_and_kept", async () => {
  const chat = await alice.createGroup("Crossing", bob);
  const message = await alice.send(chat, "Draft one");
  const aliceView = await open();
  aliceView.expect(/412 /);
  await aliceView.enter(alice, chat);
  await aliceView.act("Draft one", "Edit");
  await alice.edit(message, "Draft from the phone");
  await aliceView.sees("Draft from the phone");
  await aliceView.write("Draft two");
  await aliceView.page.getByRole("alert").filter({ hasText: "changed elsewhere" }).waitFor();
  await aliceView.composer.press("Enter");
  await aliceView.sees("Draft two");
});

test("scrolling_up_loads_older_messages_and_keeps_the_position", async () => {
  const chat = await alice.createGroup("Long", bob);
  const texts = Array.from({ length: 120 }, (_, index) => `line ${index + 1}.`);
  await bob.sendMany(chat, texts);
  await alice.call("POST", `/v1/chats/${chat.id}/read`, { up_to: (await bob.send(chat, "the end")).id });
  const aliceView = await open();
  await aliceView.enter(alice, chat);
  await aliceView.sees("the end");
  assert.equal(await aliceView.message(/line 1\./).count(), 0);
  const log = aliceView.page.locator("#log");
  const mark = aliceView.message(/line 80\./);
  const held = await hold(aliceView.page, /messages\?.*before=/);
  await mark.scrollIntoViewIfNeeded();
  await held.isAsked;
  const { y } = await mark.boundingBox();
  held.release();
  await aliceView.message(/line 40\./).waitFor({ state: "attached" });
  assert.ok(Math.abs((await mark.boundingBox()).y - y) < 2, "the row in view has not moved");
  await log.evaluate((element) => { element.scrollTop = 0; });
  await aliceView.message(/line 1\./).waitFor({ state: "attached" });
  await aliceView.message(/line 1\./).scrollIntoViewIfNeeded();
  assert.deepEqual(await aliceView.texts(/^line/), texts);

  await bob.send(chat, "news from below");
  await aliceView.page.getByRole("button", { name: "Scroll to the newest message (1 new)" }).click();
  await aliceView.sees("news from below");
});

test("quote_click_shows_the_quoted_message", async () => {
  const chat = await alice.createGroup("Quotes", bob);
  const first = await bob.send(chat, "in the beginning");
  await bob.sendMany(chat, Array.from({ length: 300 }, (_, index) => `line ${index + 1}.`));
  await alice.send(chat, "as you said", first);
  const aliceView = await open();
  await aliceView.enter(alice, chat);
  await aliceView.message("as you said").locator(".quote").click();
  await aliceView.page.locator(".message:focus").filter({ hasText: "in the beginning" }).waitFor();
  assert.ok(await aliceView.message("in the beginning").first().isVisible());
});

test("unread_messages_are_counted_and_read_when_shown", async () => {
  const chat = await alice.createGroup("Letters", bob);
  const aliceView = await open();
  await aliceView.signIn(alice);
  await aliceView.isConnected("stream");
  await bob.send(chat, "one");
  await bob.send(chat, "two");
  await aliceView.chatLink("Letters").getByText("2 unread").waitFor();
  const isRead = aliceView.page.waitForResponse((response) => response.url().endsWith("/read") && response.ok());
  await aliceView.openChat("Letters");
  await aliceView.page.locator(".unread-mark").waitFor();
  await isRead;
  await aliceView.page.reload();
  await aliceView.isConnected("stream");
  assert.equal(await aliceView.chatLink("Letters").getByText("unread", { exact: true }).count(), 0);
});

test("page_reload_keeps_session_and_chat", async () => {
  const { aliceView, bobView } = await two("Reload");
  await bobView.write("before");
  await aliceView.sees("before");
  await aliceView.page.reload();
  await aliceView.sees("before");
  await bobView.write("after");
  await aliceView.sees("after");
});

test("direct_chat_is_started_by_searching_a_name", async () => {
  const [aliceView, bobView] = [await open(), await open()];
  await aliceView.signIn(alice);
  await bobView.signIn(carol);
  await bobView.isConnected("stream");
  await aliceView.page.getByRole("button", { name: "New chat" }).click();
  await aliceView.page.getByRole("combobox", { name: "With" }).fill("car");
  await aliceView.page.getByRole("option", { name: "carol" }).click();
  await aliceView.write("Just us");
  await bobView.chatLink("alice").click();
  await bobView.sees("Just us");
});

test("group_is_created_renamed_joined_and_left", async () => {
  const [aliceView, bobView] = [await open(), await open()];
  await aliceView.signIn(alice);
  await bobView.signIn(bob);
  await bobView.isConnected("stream");
  await aliceView.page.getByRole("button", { name: "New chat" }).click();
  await aliceView.page.getByText("Group", { exact: true }).click();
  await aliceView.page.getByLabel("Group name").fill("Fence");
  await aliceView.page.getByRole("combobox", { name: "With" }).fill("bo");
  await aliceView.page.getByRole("option", { name: "bob" }).click();
  await aliceView.page.getByRole("button", { name: "Create group" }).click();
  await bobView.openChat("Fence");

  await aliceView.page.getByRole("button", { name: "Rename group" }).click();
  await aliceView.page.getByRole("dialog").getByRole("textbox").fill("Hedge");
  await aliceView.page.keyboard.press("Enter");
  await bobView.page.getByRole("heading", { level: 2, name: "Hedge" }).waitFor();

  await aliceView.page.getByRole("button", { name: "Members" }).click();
  const panel = aliceView.page.getByRole("complementary");
  await panel.getByRole("combobox").fill("carol");
  await panel.getByRole("option", { name: "carol" }).click();
  await panel.getByRole("button", { name: "Remove carol" }).waitFor();
  await bobView.page.getByText("3 members").waitFor();
  await panel.getByRole("button", { name: "Remove bob" }).click();
  await aliceView.page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await bobView.page.getByText("You are no longer in that chat.").waitFor();
  assert.equal(await bobView.chatLink("Hedge").count(), 0);

  await panel.getByRole("button", { name: "Leave group" }).click();
  await aliceView.page.getByRole("dialog").getByRole("button", { name: "Leave" }).click();
  await aliceView.page.getByText("Choose a chat").waitFor();
  assert.equal(await aliceView.chatLink("Hedge").count(), 0);
});

test("avatar_is_chosen_shown_to_others_and_removed", async () => {
  const { aliceView, bobView } = await two("Pictures");
  await aliceView.write("How do I look?");
  await bobView.sees("How do I look?");
  const face = bobView.message("How do I look?").locator(".avatar");
  assert.equal(await face.textContent(), "A");
  assert.equal(await face.locator("img").count(), 0);
  await aliceView.page.getByRole("button", { name: "Your picture" }).click();
  const dialog = aliceView.page.getByRole("dialog");
  const input = aliceView.page.locator("#picture-file");
  const choose = (name, mimeType, buffer) => input.setInputFiles({ name, mimeType, buffer });
  await choose("note.png", "image/png", Buffer.from("no picture"));
  await dialog.getByRole("alert").filter({ hasText: "can't read the file as a picture" }).waitFor();
  const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mPQmjsBAAJMAVjbh4HsAAAAAElFTkSuQmCC";
  await choose("pixel.png", "image/png", Buffer.from(pixel, "base64"));
  await dialog.locator("#picture-now img").waitFor();
  await face.locator("img").waitFor();
  assert.equal(await face.locator("img").evaluate((img) => img.decode().then(() => img.naturalWidth)), 256);
  await aliceView.page.locator("#me-avatar img").waitFor();
  await dialog.getByRole("button", { name: "Remove" }).click();
  await face.locator("img").waitFor({ state: "detached" });
  await aliceView.page.locator("#me-avatar img").waitFor({ state: "detached" });
  assert.equal(await dialog.getByRole("button", { name: "Remove" }).count(), 0);
  await dialog.getByRole("button", { name: "Close" }).click();
});

test("narrow_screen_shows_one_pane_at_a_time", async () => {
  const chat = await alice.createGroup("Pocket", bob);
  const aliceView = await open({ viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true });
  await aliceView.enter(alice, chat);
  await aliceView.write("from the road");
  await aliceView.sees("from the road");
  assert.equal(await aliceView.page.getByRole("navigation").isVisible(), false);
  assert.ok(await aliceView.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await aliceView.page.goBack();
  await aliceView.chatLink("Pocket").waitFor();
});
