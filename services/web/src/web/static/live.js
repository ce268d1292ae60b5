// Keeps an open page current: swaps the cards that the server sends, ticks ages on, copies, switches the scheme.
// Numbers come formatted from the server; the only text made here is how long ago something was.

const page = document.body.dataset.page;
const dot = document.getElementById("dot");

// --- ages ------------------------------------------------------------------------------------------

const UNITS = [[31556952, "y"], [86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

function duration(seconds, parts) {
  let rest = Math.max(0, Math.floor(seconds));
  const words = [];
  for (const [length, name] of UNITS) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    if (count || words.length) words.push(`${count} ${name}`);
    if (words.length === parts) break;
  }
  while (words.length > 1 && words.at(-1).startsWith("0 ")) words.pop();
  return words.join(" ") || "0 s";
}

function longDuration(seconds) {
  const years = Math.floor(seconds / 31556952);
  const days = Math.floor((seconds % 31556952) / 86400);
  const hours = Math.floor(((seconds % 31556952) % 86400) / 3600);
  return `${years} year${years === 1 ? "" : "s"} ${days} day${days === 1 ? "" : "s"} ${hours} h`;
}

function words(element, now) {
  const seconds = now - Date.parse(element.dateTime) / 1000;
  if ("ago" in element.dataset) return seconds < 1 ? "just now" : `${duration(seconds, seconds < 3600 ? 1 : 2)} ago`;
  if ("since" in element.dataset) return longDuration(seconds);
  return seconds < 0 ? `in ${duration(-seconds, 2)}` : "due now";
}

function tick(root = document) {
  const now = Date.now() / 1000;
  for (const element of root.querySelectorAll("time[data-ago], time[data-since], time[data-until]")) {
    const text = words(element, now);
    if (element.textContent !== text) element.textContent = text;
  }
}

// --- cards -----------------------------------------------------------------------------------------

// Makes `old` equal to `fresh` and touches only what differs, so that focus, selection and open details stay.
function morph(old, fresh, tinted) {
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

function show(cards) {
  const tinted = new Set();
  for (const [name, html] of Object.entries(cards)) {
    const old = document.querySelector(`[data-card="${name}"]`);
    const template = document.createElement("template");
    template.innerHTML = html;
    const fresh = template.content.firstElementChild;
    if (!old || !fresh) continue;
    tick(template.content); // ages as of now, so that they count as unchanged
    morph(old, fresh, tinted);
  }
  for (const element of tinted) {
    element.classList.remove("changed");
    void element.offsetWidth; // restarts the animation
    element.classList.add("changed");
  }
  reveal();
}

// --- the connection --------------------------------------------------------------------------------

const STATES = { live: "Live", reconnecting: "Reconnecting", stale: "Stale" };

function say(state) {
  if (dot.dataset.state === state) return;
  dot.dataset.state = state;
  dot.querySelector(".dot-text").textContent = STATES[state];
}

function judge(source) {
  if (source.readyState !== EventSource.OPEN) return say("reconnecting");
  const server = document.getElementById("card-notices")?.dataset.server;
  return say(server === "stale" ? "stale" : "live");
}

function listen() {
  const source = new EventSource(`/live/${page}`);
  source.addEventListener("open", () => judge(source));
  source.addEventListener("cards", (event) => {
    show(JSON.parse(event.data));
    judge(source);
  });
  source.addEventListener("error", () => {
    judge(source);
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
  addEventListener("pagehide", () => source.close(), { once: true });
}

// --- buttons ---------------------------------------------------------------------------------------

function reveal() {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("button.copy[hidden]")) button.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  await navigator.clipboard.writeText(button.dataset.copy);
  button.classList.add("done");
  setTimeout(() => button.classList.remove("done"), 1000);
});

const theme = document.getElementById("theme");
const dark = matchMedia("(prefers-color-scheme: dark)");

function scheme() {
  return document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
}

function offer() {
  theme.textContent = scheme() === "dark" ? "Light" : "Dark";
  theme.setAttribute("aria-label", `Switch to the ${theme.textContent.toLowerCase()} scheme`);
  theme.hidden = false;
}

theme.addEventListener("click", () => {
  const chosen = scheme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = chosen;
  try {
    localStorage.setItem("theme", chosen);
  } catch {
    // storage is off: the choice holds for this page
  }
  offer();
});
dark.addEventListener("change", offer);

offer();
reveal();
tick();
setInterval(tick, 1000);
if (page) listen();
