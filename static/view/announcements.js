// SPDX-License-Identifier: MIT
// What administrators say to everybody: above everything else until it is dismissed, which this browser remembers.

import { $, el, fullTime, linked, reconcile, shortTime, tool } from "./dom.js";

const DAY = 86_400_000;

export class Announcements {
  #known = new Map(); // id → announcement
  #user = null;
  #timer = null; // to when the next one is over
  heard = 0; // how often something was told

  constructor() {
    addEventListener("storage", (event) => { if (event.key === this.#key) this.#render(); });
  }

  // All there are, for that user.
  load(user, announcements) {
    this.#user = user;
    this.#known = new Map(announcements.map((one) => [one.id, one]));
    this.#keep(this.#dismissed().filter((id) => this.#known.has(id)));
    this.#render();
  }

  clear() {
    this.#known.clear();
    this.#render();
  }

  // From the feed: a new one, or that one is gone.
  apply(announcement) {
    this.heard++;
    if (announcement.state === "deleted") this.#known.delete(announcement.id);
    else this.#known.set(announcement.id, announcement);
    this.#render();
  }

  #render() {
    const dismissed = this.#dismissed();
    const now = Date.now();
    const shown = [...this.#known.values()]
      .filter((one) => !dismissed.includes(one.id) && !(Date.parse(one.until) <= now))
      .sort((a, b) => b.id - a.id);
    reconcile($("announcement-list"), shown.map((one) => this.#item(one)));
    $("announcements").hidden = shown.length === 0;
    clearTimeout(this.#timer);
    const next = Math.min(...shown.filter((one) => one.until).map((one) => Date.parse(one.until)));
    if (Number.isFinite(next)) this.#timer = setTimeout(() => this.#render(), Math.min(next - now, DAY));
  }

  #item(one) {
    const make = () => el("li", {},
      el("p", {}, ...linked(one.text)),
      el("time", { datetime: one.at, title: `${one.by}, ${fullTime(one.at)}` }, shortTime(one.at)),
      tool("close", "Dismiss", () => this.#dismiss(one.id)));
    return { key: String(one.id), stamp: JSON.stringify(one), make };
  }

  #dismiss(id) {
    this.#keep([...this.#dismissed(), id]);
    this.#known.delete(id); // also where nothing can be kept
    this.#render();
  }

  get #key() { return `postern.dismissed.${this.#user}`; }

  // A browser may keep nothing, or not let us look.
  #dismissed() {
    try {
      const ids = JSON.parse(localStorage.getItem(this.#key));
      return Array.isArray(ids) ? ids : [];
    } catch {
      return [];
    }
  }

  #keep(ids) {
    try {
      if (ids.length > 0) localStorage.setItem(this.#key, JSON.stringify(ids));
      else localStorage.removeItem(this.#key);
    } catch {
      // then it is there again the next time
    }
  }
}
