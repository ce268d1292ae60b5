// Swaps cards in as the server renders them, and tints the numbers that changed.

import { tick } from "./ages.js";

// Who arranges what comes before it is shown (sort.js) listens to this event; its detail is the fragment that came.
export const announce = (root) => document.dispatchEvent(new CustomEvent("fresh", { detail: root }));

// Rows that the server left out, as they are what the page has (web.push.rows).
function fill(content, old) {
  const left = content.querySelectorAll("[data-same]");
  if (!left.length) return;
  const rows = new Map([...old.querySelectorAll("[data-key]")].map((row) => [row.dataset.key, row]));
  for (const row of left) {
    const same = rows.get(row.dataset.key);
    if (same) row.replaceWith(same.cloneNode(true));
    else row.remove();
  }
}

// Makes `old` equal to `fresh` and touches only what differs, so that focus, selection and open details stay.
export function morph(old, fresh, tinted = new Set()) {
  for (const { name } of [...old.attributes]) {
    const kept = name === "open" || name === "class" || (name === "hidden" && old.matches("button"));
    if (!fresh.hasAttribute(name) && !kept) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    const kept = name === "hidden" && old.matches("button");
    if (!kept && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  if (old.matches("[data-tint]") && old.textContent !== fresh.textContent) tinted.add(old);
  children(old, fresh, tinted);
}

function children(old, fresh, tinted) {
  const keyed = new Map();
  for (const child of old.children) if (child.dataset.key !== undefined) keyed.set(child.dataset.key, child);
  let here = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const key = wanted.dataset?.key;
    let match = key !== undefined ? keyed.get(key) : here;
    if (match && key === undefined && !alike(match, wanted)) match = null;
    if (!match) {
      old.insertBefore(wanted, here);
      continue;
    }
    if (match !== here) old.insertBefore(match, here);
    else here = here.nextSibling;
    if (match.nodeType === Node.TEXT_NODE) {
      if (match.data !== wanted.data) match.data = wanted.data;
    } else if (match.nodeType === Node.ELEMENT_NODE) {
      morph(match, wanted, tinted);
    }
  }
  while (here) {
    const next = here.nextSibling;
    here.remove();
    here = next;
  }
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.dataset?.key === undefined;
}

// Puts fresh cards in place; those that the page does not have belong to another tab.
export function show(cards) {
  const tinted = new Set();
  const focused = document.activeElement;
  for (const [name, html] of Object.entries(cards)) {
    const old = document.querySelector(`[data-card="${name}"]`);
    if (!old) continue;
    const template = document.createElement("template");
    template.innerHTML = html;
    const made = template.content.firstElementChild;
    if (!made) continue;
    fill(template.content, old);
    announce(template.content);
    tick(template.content); // ages as of now, so that they count as unchanged
    morph(old, made, tinted);
  }
  // a row that moved has lost the focus
  if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
  for (const element of tinted) {
    element.classList.remove("changed");
    void element.offsetWidth; // restarts the animation
    element.classList.add("changed");
  }
}
