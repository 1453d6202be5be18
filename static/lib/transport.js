// SPDX-License-Identifier: MIT
// Live events: an EventSource where it works, long-polling where it doesn't, one cursor for both.
//
// The native EventSource gives up after any status other than 200 and resumes by its own rules. So each EventSource is
// used for one connection; when that ends, a new one is opened with our cursor. Delivery is at least once: when the
// transport changes, an event may arrive twice, but none is missed; receivers upsert by `rev`. Must not interpret the
// events or touch the page.

import { Problem } from "./rest.js";

const HELLO_TIMEOUT = 6_000; // ms; a stream without hello by then is assumed to be buffered by a proxy
const MISSED_HEARTBEATS = 2.5; // a stream without events for this many heartbeats is dead
const SHORT_LIVED = 10_000; // ms; a stream that ends sooner counts as a miss
const MISSES_MAX = 3; // after this many in a row while the server is reachable, the feed polls
const POLL_WAIT = 25; // seconds
const RETRY_STREAM = 30_000; // ms; while polling, a stream is tried after this time, then after twice as long, …
const RETRY_STREAM_MAX = 300_000;
const SUSPENDED_POLL = 30_000; // ms between polls while suspended
const BACKOFF_MAX = 15_000; // ms

const jitter = (ms) => ms * (0.5 + Math.random());

export class Feed {
  #rest;
  #kinds;
  #on;
  #cursor = null;
  #run = null; // identity of the current run; replaced by stop()
  #source = null; // the open EventSource
  #endSource = null; // closes it; takes the reason
  #aborter = null; // aborts the poll in flight
  #wake = null; // ends a pause
  #isSuspended = false;
  #status = null;
  #eventCount = 0; // events that streams have delivered

  // kinds: the events to deliver. on: {event(kind, data), status(s), reset(), refused(problem)}, where status is
  // "connecting", "stream", "poll" or "offline". Before it calls reset() or refused(), the feed stops.
  constructor({ rest, kinds, on }) {
    this.#rest = rest;
    this.#kinds = kinds;
    this.#on = on;
  }

  get cursor() { return this.#cursor; }

  start(cursor) {
    this.stop();
    this.#cursor = cursor;
    this.#run = {};
    this.#loop(this.#run).catch((error) => console.error(error));
  }

  stop() {
    this.#run = null;
    this.#status = null;
    this.#interrupt();
  }

  // Ends a pause, and checks whether a silent stream is still alive. To be called when the network is back, when
  // the page is visible again, or when an expected event is missing: a dead connection can stay open for minutes.
  async check() {
    this.#wake?.();
    if (!this.#source || this.#status !== "stream") return;
    const source = this.#source;
    const count = this.#eventCount;
    const answer = await this.#rest.poll(this.#cursor, 0).catch(() => null);
    if (source !== this.#source || (answer && (answer.events.length === 0 || count !== this.#eventCount))) return;
    if (answer) this.#deliverPage(answer);
    this.#endSource?.("dead");
  }

  // Closes the stream and polls at intervals instead: a browser allows six connections to a host, and the user may have
  // many tabs.
  suspend() {
    if (this.#isSuspended) return;
    this.#isSuspended = true;
    this.#interrupt();
  }

  resume() {
    if (!this.#isSuspended) return;
    this.#isSuspended = false;
    this.#wake?.();
  }

  #interrupt() {
    this.#endSource?.("stopped");
    this.#aborter?.abort();
    this.#wake?.();
  }

  #setStatus(status) {
    if (status === this.#status) return;
    this.#status = status;
    this.#on.status(status);
  }

  #pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake(), ms);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }

  // Opens streams one after another. If one fails, checks whether the server is reachable; after too many misses, polls
  // until a stream can be opened.
  async #loop(run) {
    let misses = 0;
    let failures = 0;
    let isOpen = false; // a stream that was opened while polling
    const isOver = () => run !== this.#run;
    while (!isOver()) {
      try {
        if (this.#isSuspended) {
          await this.#poll(0);
          await this.#pause(SUSPENDED_POLL);
          continue;
        }
        if (!isOpen && this.#status !== "offline") this.#setStatus("connecting");
        const began = Date.now();
        const opening = isOpen ? "hello" : await this.#open(run);
        isOpen = false;
        if (isOver()) return;
        let miss = opening === "silent" ? MISSES_MAX : 1;
        if (opening === "hello") {
          this.#setStatus("stream");
          failures = 0;
          const { reason, retry } = await this.#ended();
          if (isOver()) return;
          const isFine = retry != null || reason === "stopped" || (reason !== "dead" && Date.now() - began > SHORT_LIVED);
          misses = isFine ? 0 : misses + 1;
          miss = 0;
          if (misses < MISSES_MAX) {
            if (!this.#isSuspended) await this.#pause(retry ?? jitter(500));
            continue;
          }
        }
        await this.#poll(0);
        misses += miss;
        failures = 0;
        if (isOver() || this.#isSuspended) continue;
        if (misses < MISSES_MAX) await this.#pause(jitter(500));
        else isOpen = await this.#pollUntilStream(run);
      } catch (problem) {
        if (isOver() || problem.name === "AbortError") continue;
        if (!(problem instanceof Problem)) throw problem;
        if (!problem.isTemporary) return this.#fail(problem);
        this.#setStatus("offline");
        await this.#pause(problem.retryAfter ?? jitter(Math.min(1000 * 2 ** failures++, BACKOFF_MAX)));
      }
    }
  }

  // Stops the feed: the server can't resume from the cursor, or refuses the credential.
  #fail(problem) {
    this.stop();
    if (problem.status === 410) this.#on.reset();
    else this.#on.refused(problem);
  }

  // Opens a stream at the cursor. Resolves to "hello", "silent" or "error".
  #open(run) {
    return new Promise((resolve) => {
      const url = new URL("v1/stream", document.baseURI);
      if (this.#cursor) url.searchParams.set("since", this.#cursor);
      const source = new EventSource(url);
      const end = (reason, retry = null) => {
        clearTimeout(timer);
        clearTimeout(silence);
        source.close();
        if (this.#source === source) this.#source = this.#endSource = null;
        resolve(reason);
        source.onend?.({ reason, retry });
      };
      const timer = setTimeout(end, HELLO_TIMEOUT, "silent");
      let silenceMax = 0; // ms; 0 until hello gives the interval of heartbeats
      let silence = null;
      const isAlive = () => {
        clearTimeout(silence);
        if (silenceMax > 0) silence = setTimeout(end, silenceMax, "dead");
      };
      this.#source = source;
      this.#endSource = end;
      source.addEventListener("error", () => end("error"));
      source.addEventListener("hello", (event) => {
        clearTimeout(timer);
        silenceMax = (parse(event.data)?.heartbeat ?? 0) * 1000 * MISSED_HEARTBEATS;
        isAlive();
        resolve("hello");
      });
      source.addEventListener("heartbeat", (event) => {
        if (run !== this.#run) return;
        isAlive();
        if (event.lastEventId) this.#cursor = event.lastEventId;
      });
      source.addEventListener("bye", (event) => end("bye", jitter(Math.min(parse(event.data)?.retry ?? 1000, 60_000))));
      source.addEventListener("reset", () => this.#deliver("reset", {}));
      for (const kind of this.#kinds) {
        source.addEventListener(kind, (event) => {
          if (run !== this.#run) return;
          isAlive();
          this.#eventCount++;
          this.#deliver(kind, parse(event.data));
          if (event.lastEventId) this.#cursor = event.lastEventId;
        });
      }
    });
  }

  #ended() {
    const source = this.#source;
    if (!source) return Promise.resolve({ reason: "error", retry: null });
    return new Promise((resolve) => { source.onend = resolve; });
  }

  // Resolves to true once a stream is open, to false if the feed was stopped or suspended; throws what a poll throws.
  async #pollUntilStream(run) {
    let every = RETRY_STREAM;
    let due = Date.now() + every;
    let isTrying = false;
    let isOpen = false;
    this.#setStatus("poll");
    while (run === this.#run && !this.#isSuspended && !isOpen) {
      if (!isTrying && Date.now() > due) {
        isTrying = true;
        this.#open(run).then((opening) => {
          isTrying = false;
          every = Math.min(every * 2, RETRY_STREAM_MAX);
          due = Date.now() + every;
          isOpen = opening === "hello";
          if (isOpen) this.#aborter?.abort();
        });
      }
      const began = Date.now();
      try {
        const answer = await this.#poll(POLL_WAIT);
        // A proxy may respond at once and without events in place of the server: don't spin.
        if (answer.events.length === 0 && Date.now() - began < 1000 && !isOpen) await this.#pause(1000);
      } catch (problem) {
        if (!isOpen) {
          this.#endSource?.("stopped");
          throw problem;
        }
      }
    }
    if (!isOpen) this.#endSource?.("stopped");
    return isOpen;
  }

  async #poll(wait) {
    const run = this.#run;
    const aborter = (this.#aborter = new AbortController());
    const answer = await this.#rest.poll(this.#cursor, wait, aborter.signal);
    if (run === this.#run) this.#deliverPage(answer);
    return answer;
  }

  #deliverPage({ events, cursor }) {
    for (const { event, data } of events) {
      if (event === "reset" || this.#kinds.includes(event)) this.#deliver(event, data);
      if (!this.#run) return;
    }
    if (cursor) this.#cursor = cursor;
  }

  #deliver(kind, data) {
    if (!this.#run || data == null) return;
    if (kind === "reset") {
      this.stop();
      this.#on.reset();
      return;
    }
    this.#on.event(kind, data);
  }
}

function parse(json) {
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}
