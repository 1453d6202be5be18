// SPDX-License-Identifier: MIT
// Announcements of administrators, shown at the top of the page until they are dismissed. The browser stores the ids of
// those that were dismissed.

import { $, el, fullTime, linked, reconcile, shortTime, tool } from "./dom.js";

const DAY = 86_400_000;

export class Announcements {
  #known = new Map(); // id → announcement
  #user = null;
  #timer = null; // fires when the next announcement expires
  changes = 0; // number of changes that the feed has delivered

  constructor() {
    addEventListener("storage", (event) => { if (event.key === this.#key) this.#render(); });
  }

  // Replaces all announcements. user: the user who is signed in.
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

  // Applies an event: a new announcement, or the deletion of one.
  apply(announcement) {
    this.changes++;
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
    this.#known.delete(id); // also if the browser has no storage
    this.#render();
  }

  get #key() { return `postern.dismissed.${this.#user}`; }

  // A browser may have no storage, or refuse access to it.
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
      // the announcement is shown again after a reload
    }
  }
}
