// SPDX-License-Identifier: MIT
// Helpers to create elements and to format times. User text becomes text nodes only, never HTML.

export const $ = (id) => document.getElementById(id);

// el("p", {class: "x", title: "y", onclick: f}, child, …): names that begin with "on" are listeners, others attributes.
// An attribute or child that is null or false is left out; an attribute that is true is set to "".
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value != null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child != null && child !== false));
  return element;
}

export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export function tool(name, label, onclick) {
  return el("button", { class: "tool", type: "button", "aria-label": label, title: label, onclick }, icon(name));
}

// One of six colours, chosen by `seed`.
export function tintOf(seed) {
  let hash = 2166136261; // FNV-1a
  for (const char of String(seed)) hash = Math.imul(hash ^ char.codePointAt(0), 16777619);
  return ((hash ^ (hash >>> 15)) >>> 0) % 6;
}

// Paints a round picture: the one at the URL, or initials if there is none or it can't be loaded.
export function paintAvatar(element, title, seed, picture = null) {
  const words = title.split(/[\s._-]+/).filter(Boolean);
  const initials = (words.length > 1 ? [words[0], words.at(-1)] : words.slice(0, 1)).map((word) => [...word][0]).join("");
  const face = JSON.stringify([initials, seed, picture]);
  if (element.dataset.face === face) return; // a picture that is repainted flickers
  element.dataset.face = face;
  element.textContent = initials.toUpperCase();
  element.dataset.tint = tintOf(seed);
  if (picture) element.append(el("img", { src: picture, alt: "", draggable: "false", onerror: (event) => event.target.remove() }));
}

export function avatar(title, seed, size = "", picture = null) {
  const element = el("span", { class: `avatar ${size}`, "aria-hidden": "true" });
  paintAvatar(element, title, seed, picture);
  return element;
}

// Makes the items the children of `parent`, in order, and reuses the elements whose `stamp` hasn't changed.
// items: [{key, stamp, make()}]. Returns the keys of new elements.
export function reconcile(parent, items) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const added = [];
  let next = parent.firstElementChild;
  for (const { key, stamp, make } of items) {
    let element = known.get(key);
    if (!element) added.push(key);
    if (element?.dataset.stamp !== stamp) {
      const fresh = make();
      fresh.dataset.key = key;
      fresh.dataset.stamp = stamp;
      if (element) {
        if (next === element) next = fresh;
        const hadFocus = element.contains(document.activeElement);
        fresh.tabIndex = element.tabIndex;
        element.replaceWith(fresh);
        if (hadFocus) fresh.focus();
      }
      element = fresh;
    }
    known.delete(key);
    if (element === next) next = next.nextElementSibling;
    else parent.insertBefore(element, next);
  }
  for (const element of known.values()) element.remove();
  return added;
}

const LINK = /https?:\/\/[^\s<>"]+/gi;
// Returns the text as nodes, with http(s) addresses as links. Punctuation at the end isn't part of a link.
export function linked(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const address = match[0].replace(match[0].includes("(") ? /[.,:;!?']+$/ : /[.,:;!?')\]]+$/, "");
    if (!isAddress(address)) continue;
    nodes.push(text.slice(from, match.index));
    nodes.push(el("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, address));
    from = match.index + address.length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

function isAddress(text) {
  try {
    return /^https?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short" });
const dayMonth = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const longDay = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });
const longDate = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "long", year: "numeric" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

// Returns the local date as a string; equal strings mean the same day.
export const dayOf = (at) => new Date(at).toDateString();

const daysAgo = (at) => Math.round((new Date().setHours(0, 0, 0, 0) - new Date(at).setHours(0, 0, 0, 0)) / 86_400_000);

export const timeOf = (at) => clock.format(new Date(at));
export const fullTime = (at) => full.format(new Date(at));

export function shortTime(at) {
  const days = daysAgo(at);
  return (days < 1 ? clock : days < 7 ? weekday : dayMonth).format(new Date(at));
}

export function dayName(at) {
  const days = daysAgo(at);
  if (days < 1) return "Today";
  if (days === 1) return "Yesterday";
  return (days < 180 ? longDay : longDate).format(new Date(at));
}
