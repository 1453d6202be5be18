// SPDX-License-Identifier: MIT
// The page: creates the parts and connects them. The state is in the store; every change of it leads to one render(),
// which paints the views.

import { Loader } from "./lib/loader.js";
import { Outbox } from "./lib/outbox.js";
import { Reads } from "./lib/reads.js";
import { Rest } from "./lib/rest.js";
import { Store } from "./lib/store.js";
import { Feed } from "./lib/transport.js";
import { Announcements } from "./view/announcements.js";
import { Composer } from "./view/composer.js";
import { NewChat, ask } from "./view/dialogs.js";
import { $, paintAvatar } from "./view/dom.js";
import { Members, mayManage } from "./view/members.js";
import { Messages } from "./view/messages.js";
import { Picture } from "./view/picture.js";
import { Reset, resetToken } from "./view/reset.js";
import { Sidebar } from "./view/sidebar.js";
import { SignIn } from "./view/signin.js";

const ECHO_TIMEOUT = 5000; // ms; if the feed doesn't deliver our own message by then, the stream is checked

const rest = new Rest();
const store = new Store({ change: render, needChat: (chat) => loader.chat(chat), needUser: (name) => loader.user(name), dropped: onDropped });
const loader = new Loader({ rest, store, onRefused: showProblem });
const outbox = new Outbox({ send: (chat, body, key) => rest.send(chat, body, key), on: { change: render, sent: onSent, failed: render } });
const reads = new Reads(async (chat, upTo) => store.chats.has(chat) && rest.read(chat, upTo)); // the user may have left it
const KINDS = ["message", "deleted", "chat", "member", "user", "announcement"];
const feed = new Feed({ rest, kinds: KINDS, on: { event: onEvent, status: onStatus, reset: start, refused: onRefused } });
const tabs = new BroadcastChannel("postern"); // the other pages of this browser

let current = null; // id of the open chat
let isPanelOpen = false;
let startNumber = 0;
const unconfirmed = new Set(); // ids of own messages that the server has acknowledged and the feed hasn't delivered

// ---- signing in and out

const signIn = new SignIn(async (name, password) => {
  await rest.signIn(name, password);
  await start();
});

const reset = new Reset({
  redeem: (token, password) => rest.resetPassword(token, password),
  async done() {
    reset.hide();
    await start(); // this browser may have a session of another user
    if (store.me) toast("The new password is set.");
    else signIn.note("The new password is set. Sign in with it.");
  },
  cancel() {
    reset.hide();
    if (store.me) show("app");
    else start();
  },
});

// Shows the form for a new password if the URL is a link to it, else starts. The link is a secret and is removed from
// the URL.
function enter() {
  const token = resetToken(location.hash);
  if (!token) return start();
  history.replaceState(null, "", "#/");
  show("reset");
  reset.show(token);
}

function show(part) {
  if (part !== "reset") reset.hide();
  signIn.isShown = part === "signin";
  $("wait").hidden = part !== "wait";
  $("app").hidden = part !== "app";
}

// Loads the state and starts the feed; called again after a reset or a refusal.
async function start() {
  const number = ++startNumber;
  if (!store.me) show("wait");
  for (let wait = 1000; ; wait = Math.min(wait * 2, 15_000)) {
    try {
      const answer = await rest.sync();
      if (number !== startNumber) return;
      return begin(answer);
    } catch (problem) {
      if (number !== startNumber) return;
      if (problem.status === 401) return signedOut();
      $("wait-text").textContent = `${problem.message} Trying again…`;
      if (store.me) sidebar.showStatus("offline");
      await pause(problem.retryAfter ?? wait);
    }
  }
}

function begin(answer) {
  loader.begin();
  store.load(answer);
  announcements.load(answer.me.name, answer.announcements ?? []);
  show("app");
  feed.start(answer.cursor);
  const open = current;
  current = null;
  if (store.chats.has(open)) openChat(open);
  else route();
}

async function signOut() {
  const question = { title: "Sign out?", text: "Messages that have not been sent will be lost.", yes: "Sign out", isDanger: true };
  if (!outbox.isEmpty && !(await ask(question))) return;
  await attempt(async () => {
    await rest.signOut();
    tabs.postMessage("out");
    signedOut();
  }); // after a 401 the session has ended already, and attempt() shows the sign-in form
}

function signedOut() {
  startNumber++;
  loader.stop();
  for (const part of [store, outbox, reads, composer, announcements, unconfirmed]) part.clear();
  feed.stop();
  openChat(null);
  location.hash = "#/";
  document.title = "Postern";
  show("signin");
}

// ---- events of the feed

function onEvent(kind, data) {
  if (kind === "announcement") return announcements.apply(data);
  if (kind === "message" && data.from === store.me.name) {
    unconfirmed.delete(data.id);
    if (data.id > store.thread(data.chat).newest) outbox.claim(data);
  }
  const chat = store.chats.get(data.chat);
  const isNew = kind === "message" && chat && data.id > (chat.last_message?.id ?? 0);
  store.apply(kind, data);
  const isForMe = isNew && data.chat === current && data.from !== store.me.name;
  if (isForMe) $("announce").textContent = `${store.displayName(data.from)}: ${data.text ?? ""}`;
  if (kind === "deleted") composer.refresh();
}

function onStatus(value) {
  sidebar.showStatus(value);
  if (value !== "stream" && value !== "poll") return;
  outbox.wake();
  loadAnnouncements();
}

// The feed delivers only announcements made while it is connected, so each connection requests all of them. If one
// arrives during the request, the response may lack it, and the request is repeated.
async function loadAnnouncements() {
  const { changes } = announcements;
  const { me } = store;
  const answer = await rest.announcements().catch(() => null);
  if (!answer || me?.name !== store.me?.name || !store.me) return;
  if (changes !== announcements.changes) return loadAnnouncements();
  announcements.load(store.me.name, answer.announcements);
}

// After a 401, start() shows the sign-in form. No other status is expected; it is retried after a while.
function onRefused(problem) {
  if (problem.status === 401) start();
  else setTimeout(start, ECHO_TIMEOUT);
}

function onSent(entry, message) {
  store.putMessage(message);
  render();
  if (entry.claimed === message.id) return;
  unconfirmed.add(message.id);
  setTimeout(() => { if (unconfirmed.delete(message.id)) feed.check(); }, ECHO_TIMEOUT);
}

// ---- the open chat

function route() {
  const id = Number(/^#\/chat\/(\d+)$/.exec(location.hash)?.[1]);
  openChat(store.chats.has(id) ? id : null);
}

function openChat(id) {
  if (id === current) return;
  current = id;
  isPanelOpen = false;
  members.show(null);
  $("chat").hidden = id == null;
  $("none").hidden = id != null;
  $("app").classList.toggle("is-open", id != null);
  composer.open(id);
  messages.open(id);
  if (id == null) return render();
  loader.latest(store.chats.get(id));
  render();
  if (matchMedia("(hover: hover)").matches) composer.focus();
}

function onDropped(id) {
  if (id !== current) return;
  location.hash = "#/";
  openChat(null);
  toast("You are no longer in that chat.");
}

// Shows a message that may be older than those in memory.
async function jump(id) {
  const chat = current;
  await loader.backTo(chat, id, () => current === chat);
  if (current !== chat) return;
  render();
  if (!messages.reveal(id)) toast("That message no longer exists.");
}

function seen(chat, upTo) {
  if (!document.hidden && store.markRead(chat, upTo)) reads.put(chat, upTo);
}

// ---- actions of the user

async function attempt(work) {
  try {
    await work();
  } catch (problem) {
    showProblem(problem);
  }
}

function showProblem(problem) {
  if (problem.status === 401) start();
  else toast(problem.message);
}

function send(chat, body) {
  outbox.put(chat, body);
  render();
  messages.sent();
}

async function save(message, text) {
  try {
    store.putMessage(await rest.edit(message.chat, message.id, text, message.rev));
    return null;
  } catch (problem) {
    if (problem.status !== 412) return { text: problem.message };
    const now = await rest.message(message.chat, message.id).catch(() => null);
    if (now) store.putMessage(now);
    return { text: "This message was changed elsewhere in the meantime (see above). Save again to overwrite that change.", message: now };
  }
}

async function remove(message) {
  if (!(await ask({ title: "Delete this message?", text: "It will be deleted for everyone and can't be restored.", yes: "Delete", isDanger: true }))) return;
  await attempt(async () => {
    await rest.remove(message.chat, message.id);
    store.dropMessage(message.chat, message.id);
    composer.refresh();
  });
}

async function createChat(wanted) {
  const known = wanted.kind === "direct" && store.directWith(wanted.members[0]);
  const chat = known || (await rest.createChat(wanted));
  if (!known) store.putChat(await rest.chat(chat.id)); // with the fields that depend on the user: the title, the role
  location.hash = `#/chat/${chat.id}`;
}

async function rename() {
  const chat = store.chats.get(current);
  const title = await ask({ title: `Rename ${chat.kind}`, yes: "Rename", value: chat.title ?? "" });
  if (title && title !== chat.title) await attempt(async () => store.apply("chat", await rest.rename(chat.id, title)));
}

async function searchUsers(text) {
  const { users } = await rest.users(text);
  users.forEach((user) => store.putUser(user));
  return users.filter((user) => user.name !== store.me.name && (user.state ?? "active") === "active");
}

const loadMembers = (id) => attempt(() => loader.members(id));

async function removeMember(id, name) {
  const who = store.displayName(name);
  if (!(await ask({ title: `Remove ${who}?`, text: "They will no longer see this group.", yes: "Remove", isDanger: true }))) return;
  await attempt(async () => {
    await rest.removeMember(id, name);
    await loadMembers(id);
  });
}

async function leave(id) {
  const chat = store.chats.get(id);
  if (!(await ask({ title: `Leave “${store.title(chat)}”?`, text: "You can come back only if someone adds you.", yes: "Leave", isDanger: true }))) return;
  await attempt(async () => {
    await rest.removeMember(id, store.me.name);
    location.hash = "#/";
    openChat(null);
    store.dropChat(id);
  });
}

function togglePanel() {
  isPanelOpen = !isPanelOpen;
  members.show(isPanelOpen ? current : null);
  render();
}

// ---- painting

const announcements = new Announcements();
const newChat = new NewChat({ search: searchUsers, create: createChat });
const sidebar = new Sidebar({ store, onNew: () => newChat.open(), onSignOut: signOut });
const composer = new Composer({ store, on: { send, save, latestOwn } });
const messages = new Messages({
  store, outbox,
  on: {
    older: (id) => loader.older(id), seen, jump, remove,
    reply: (message) => composer.reply(message), edit: (message) => composer.edit(message),
    retry: (key) => outbox.retry(key), discard: (key) => outbox.drop(key),
  },
});
const members = new Members({
  store,
  on: {
    search: searchUsers, load: loadMembers, remove: removeMember, leave, toggle: togglePanel,
    add: (id, user) => attempt(async () => {
      await rest.addMember(id, user.name);
      await loadMembers(id);
    }),
  },
});
const picture = new Picture({
  store,
  on: {
    set: async (blob) => store.putUser(await rest.setAvatar(blob)),
    clear: async () => {
      await rest.clearAvatar();
      store.putUser(await rest.user(store.me.name));
    },
  },
});
$("rename").addEventListener("click", rename);

function latestOwn() {
  return store.thread(current).list().findLast((message) => message.from === store.me.name && message.text != null) ?? null;
}

function render() {
  if (!store.me) return;
  const unread = store.totalUnread();
  document.title = unread > 0 ? `(${unread}) Postern` : "Postern";
  sidebar.render(current);
  picture.render();
  const chat = store.chats.get(current);
  if (!chat) return;
  renderHeader(chat);
  messages.render();
  members.render();
}

function renderHeader(chat) {
  const isDirect = chat.kind === "direct";
  const title = store.title(chat);
  $("chat-title").textContent = title;
  $("chat-note").textContent = isDirect ? chat.peer ?? "" : `${chat.members_count} ${chat.members_count === 1 ? "member" : "members"}`;
  paintAvatar($("chat-avatar"), title, chat.peer ?? chat.id, store.picture(chat.peer));
  $("rename").hidden = !mayManage(chat);
  $("show-members").hidden = isDirect;
  const mayWrite = (chat.kind !== "channel" || mayManage(chat)) && !(Date.parse(chat.muted_until) > Date.now());
  $("composer").hidden = !mayWrite;
  $("no-write").hidden = mayWrite;
}

let toastTimer = null;

function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 6000);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// ---- visibility and lifetime of the page

function toFront() {
  if (document.hidden) return;
  tabs.postMessage("front");
  feed.resume();
  feed.check();
  render();
}

tabs.addEventListener("message", ({ data }) => {
  if (data === "front" && document.hidden) feed.suspend();
  if (data === "out" && store.me) signedOut();
});
addEventListener("hashchange", () => {
  if (resetToken(location.hash)) enter();
  else if (store.me) route();
});
addEventListener("online", () => {
  feed.check();
  outbox.wake();
});
addEventListener("pageshow", (event) => { if (event.persisted) toFront(); });
addEventListener("beforeunload", (event) => { if (!outbox.isEmpty) event.preventDefault(); });
document.addEventListener("visibilitychange", toFront);

tabs.postMessage("front");
enter();
