// SPDX-License-Identifier: MIT
// REST calls to Postern: JSON in (or a picture), JSON out; a refusal is thrown as a Problem. Each call makes one attempt
// (outbox.js retries sends). The session cookie is the credential. Paths are relative to the page, so the page can be
// served below a path prefix. Must not touch the page.

// A refusal (application/problem+json). Status 0: the server was not reached, or a proxy or portal responded instead.
export class Problem extends Error {
  constructor(status, { title, detail, code, request_id } = {}, retryAfter = null) {
    super(detail || title || `The server responded with status ${status}.`);
    this.name = "Problem";
    this.status = status;
    this.code = code ?? null;
    this.requestId = request_id ?? null;
    this.retryAfter = retryAfter; // milliseconds, or null
  }

  // True if the same request may succeed later.
  get isTemporary() {
    return [0, 429, 500, 502, 503, 504].includes(this.status);
  }
}

const segment = encodeURIComponent;

function query(params) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value != null) search.set(name, value);
  const text = search.toString();
  return text && `?${text}`;
}

function retryAfter(response) {
  const value = response.headers.get("Retry-After");
  if (!value) return null;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : null;
}

async function readResponse(response) {
  const isJson = /\bjson\b/.test(response.headers.get("Content-Type") ?? "");
  const body = isJson ? await response.json() : null;
  if (!response.ok) throw new Problem(response.status, body ?? {}, retryAfter(response));
  // A 200 with an HTML page comes from a captive portal or a proxy, not from Postern.
  if (!isJson && response.status !== 204) throw new Problem(0, { detail: "The response is not from Postern: a proxy or a network sign-in page may be in between." });
  return body;
}

export class Rest {
  // Resolves to the parsed body (null for 204). Throws Problem, or the signal's AbortError.
  async call(method, path, { body, blob, headers = {}, signal, timeout = 20_000 } = {}) {
    const aborter = new AbortController();
    const abort = () => aborter.abort();
    const timer = setTimeout(abort, timeout);
    signal?.addEventListener("abort", abort);
    if (body !== undefined) headers = { ...headers, "Content-Type": "application/json" };
    if (blob) headers = { ...headers, "Content-Type": blob.type };
    try {
      signal?.throwIfAborted();
      const response = await fetch(path, {
        method, headers, signal: aborter.signal, cache: "no-store", credentials: "same-origin",
        body: body === undefined ? blob : JSON.stringify(body),
      });
      return await readResponse(response);
    } catch (error) {
      if (error instanceof Problem || signal?.aborted) throw error;
      throw new Problem(0, { detail: "The server can’t be reached." });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  signIn(name, password) { return this.call("POST", "v1/session", { body: { name, password } }); }
  signOut() { return this.call("DELETE", "v1/session"); }
  resetPassword(token, password) { return this.call("POST", "v1/password-reset", { body: { token, password } }); }

  // The state to start with: the first page with the chats of all pages. The stream starts at the first page's cursor.
  async sync() {
    const first = await this.call("GET", "v1/sync");
    for (let { next } = first; next; ) {
      const page = await this.call("GET", `v1/sync${query({ cursor: next })}`);
      first.chats.push(...page.chats);
      next = page.next;
    }
    return first;
  }

  announcements() { return this.call("GET", "v1/announcements"); }

  // Resolves at once if there are events after `since`, else when one occurs, or without events after `wait` seconds.
  poll(since, wait, signal) {
    return this.call("GET", `v1/poll${query({ since, wait })}`, { signal, timeout: (wait + 15) * 1000 });
  }

  users(q) { return this.call("GET", `v1/users${query({ q })}`); }
  user(name) { return this.call("GET", `v1/users/${segment(name)}`); }
  setAvatar(blob) { return this.call("PUT", "v1/me/avatar", { blob }); }
  clearAvatar() { return this.call("DELETE", "v1/me/avatar"); }

  createChat(chat) { return this.call("POST", "v1/chats", { body: chat }); }
  chat(id) { return this.call("GET", `v1/chats/${id}`); }
  rename(id, title) { return this.call("PATCH", `v1/chats/${id}`, { body: { title } }); }
  members(id, cursor) { return this.call("GET", `v1/chats/${id}/members${query({ cursor })}`); }
  addMember(id, name) { return this.call("PUT", `v1/chats/${id}/members/${segment(name)}`, { body: { role: "member" } }); }
  removeMember(id, name) { return this.call("DELETE", `v1/chats/${id}/members/${segment(name)}`); }
  read(id, upTo) { return this.call("POST", `v1/chats/${id}/read`, { body: { up_to: upTo } }); }

  // where: {limit, before, after, around}. Returns {messages, older, newer}.
  messages(id, where = {}) { return this.call("GET", `v1/chats/${id}/messages${query(where)}`); }
  message(id, message) { return this.call("GET", `v1/chats/${id}/messages/${message}`); }
  send(id, message, key) {
    return this.call("POST", `v1/chats/${id}/messages`, { body: message, headers: { "Idempotency-Key": key } });
  }
  // Refused with 412 if the message is no longer at `rev`.
  edit(id, message, text, rev) {
    return this.call("PATCH", `v1/chats/${id}/messages/${message}`, { body: { text }, headers: { "If-Match": `"${rev}"` } });
  }
  remove(id, message) { return this.call("DELETE", `v1/chats/${id}/messages/${message}`); }
}
