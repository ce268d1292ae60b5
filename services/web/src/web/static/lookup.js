// Keeps the page of a look-up current: asks for it again when the server says that it is another.

import { morph } from "./cards.js";

const shown = document.querySelector("[data-lookup]");
const about = shown?.dataset.lookup;
const REST = 500; // ms between two requests at least
const RETRY = 3000;
const LATE = 60000; // a page that was hidden for so long may have missed something
let source = null;
let due = 0;
let asked = 0;

async function refresh() {
  due = 0;
  asked = performance.now();
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[data-lookup]");
    if (fresh) morph(shown, fresh);
    if ([202, 429].includes(answer.status) || answer.status >= 500) later(RETRY);
  } catch {
    later(RETRY);
  }
}

function later(wait) {
  due ||= setTimeout(refresh, Math.max(wait, asked + REST - performance.now()));
}

function follow() {
  if (document.hidden) {
    source?.close();
    source = null;
  } else if (!source) {
    source = new EventSource(`/live/lookup?about=${encodeURIComponent(about)}`);
    source.addEventListener("changed", () => later(0));
    source.addEventListener("open", () => (asked || performance.now() > LATE) && later(0));
  }
}

// What waits changes all the time, and nobody tells every change: `data-every` says after how many seconds to ask.
function tend() {
  const every = Number(shown.dataset.every) * 1000;
  if (every && !document.hidden && performance.now() - asked >= every) later(0);
}

if (about) {
  if (shown.dataset.pending !== undefined) later(RETRY);
  setInterval(tend, 1000);
  document.addEventListener("visibilitychange", follow);
  addEventListener("pagehide", () => source?.close());
  follow();
}
