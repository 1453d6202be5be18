// SPDX-License-Identifier: MIT
// Starts the real server for a test file, on its own state directory, and sends requests of users without a browser.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { createInterface } from "node:readline";

// The environment of a clean Debian, not the developer's, plus the options of sanitizers.
const ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: homedir() };
for (const name of ["ASAN_OPTIONS", "UBSAN_OPTIONS"])
  if (process.env[name]) ENV[name] = process.env[name];
const BIN = process.env.POSTERN_BIN ?? "src/postern";
export const PASSWORD = "under the wall";

// Runs a sub-command; resolves to its standard output.
async function command(args, input = "") {
  const child = spawn(BIN, args, { env: ENV, stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(input);
  let output = "";
  child.stdout.on("data", (chunk) => { output += chunk; });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`postern ${args.join(" ")}: exit code ${code}`);
  return output.trim();
}

export class Server {
  #dir = mkdtempSync("/tmp/pw-"); // short: a Unix socket lives below it
  #child = null;
  url = null;

  constructor() { chmodSync(this.#dir, 0o755); } // as root the server drops its privileges

  get #state() { return ["--state", `${this.#dir}/s`]; }

  // Resolves when the server is ready. A second start uses the same port and state.
  async start() {
    const listen = this.url ? new URL(this.url).host : "127.0.0.1:0";
    const unlimited = { RATE_SENDS: "0", RATE_ACTIONS: "0", RATE_LOGINS: "0", STREAMS_PER_USER: "0" };
    const env = { ...ENV };
    for (const [name, value] of Object.entries(unlimited)) env[`POSTERN_${name}`] = value;
    const child = spawn(BIN, ["serve", ...this.#state, "--listen", listen], { env, stdio: ["ignore", "pipe", "pipe"] });
    let log = "";
    child.on("error", (error) => { log += error; });
    child.stderr.on("data", (chunk) => { log += chunk; });
    this.#child = child;
    for await (const line of createInterface({ input: child.stdout })) {
      const ready = /^ready (http:\S+)/.exec(line);
      if (!ready) continue;
      child.stdout.resume();
      this.url = ready[1];
      return this;
    }
    throw new Error(`the server ended before it was ready:\n${log}`);
  }

  async stop() {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit", { signal: AbortSignal.timeout(30_000) });
    child.kill("SIGTERM");
    await ended.catch((error) => {
      child.kill("SIGKILL");
      throw new Error("the server did not stop", { cause: error });
    });
  }

  async remove() {
    await this.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async addUser(name, ...options) {
    await command(["user", "add", name, ...options, ...this.#state], `${PASSWORD}\n`);
    return new User(this, name, await command(["token", name, ...this.#state]));
  }

  resetLink(user) { return command(["user", "reset-link", user.name, ...this.#state]); }
}

// A user with a token.
export class User {
  constructor(server, name, token) {
    Object.assign(this, { server, name, token });
  }

  async call(method, path, body, headers = {}) {
    const isText = typeof body === "string";
    const response = await fetch(this.server.url + path, {
      method,
      headers: {
        Authorization: `Bearer ${this.token}`,
        "Content-Type": isText ? "application/x-ndjson" : "application/json",
        ...headers,
      },
      body: body === undefined || isText ? body : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text && !isText ? JSON.parse(text) : text;
  }

  createGroup(title, ...others) {
    const members = others.map((user) => user.name);
    return this.call("POST", "/v1/chats", { kind: "group", title, members, system_messages: "none" });
  }

  send(chat, text, replyTo) {
    return this.call("POST", `/v1/chats/${chat.id}/messages`, { text, reply_to: replyTo?.id });
  }
  sendMany(chat, texts) {
    const lines = texts.map((text) => `${JSON.stringify({ text })}\n`);
    return this.call("POST", `/v1/chats/${chat.id}/messages`, lines.join(""));
  }
  edit(message, text) {
    const path = `/v1/chats/${message.chat}/messages/${message.id}`;
    return this.call("PATCH", path, { text }, { "If-Match": `"${message.rev}"` });
  }
  history(chat) { return this.call("GET", `/v1/chats/${chat.id}/messages?limit=200`); }
}
