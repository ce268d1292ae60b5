// Says how old the figures are: the dot in the header, a mark on each card whose figures have aged, the footer.
//
// A domain's truth is the moment, by the server's clock, at which its figures were last known to be what the node has.
// The server is a domain of its own: its truth is its last pulse, so one rule catches whatever falls silent.

import { date } from "./ages.js";
import * as clock from "./clock.js";
import { t } from "./words.js";

const STALE = 20000; // ms; a pulse comes every 5 s, and truths are renewed as often
const GRACE = 2000; // ms that the first pulse may take before a tab that comes in sight marks what it shows

const STATES = {
  live: [t("Live"), t("Connected; the figures are those of the node")],
  connecting: [t("Connecting"), t("The server is being asked for what is new")],
  reconnecting: [
    t("Reconnecting"),
    t("The connection broke and is tried again; the figures are the last ones known"),
  ],
  waiting: [t("Waiting"), t("The node has not confirmed any figures yet")],
  stale: [t("Stale"), t("The figures are the last ones known")],
};

// What stands before and after a moment.
const FOR = t("for %(duration)s").split("%(duration)s");
const AS_OF = t("as of %(age)s").split("%(age)s");
const UNCONFIRMED = { chain: t("chain unconfirmed"), mempool: t("mempool unconfirmed") };

const dot = document.getElementById("dot");
const moment = (text) => Number(text) || null;
const { truthChain, truthMempool } = document.getElementById("card-notices").dataset;

let truths = { chain: moment(truthChain), mempool: moment(truthMempool), server: clock.recalled ? null : clock.now() };
let node = ""; // what is the matter with the node, in the server's words
let lost = false; // the connection
let joined = null; // since when the first pulse is awaited

export function join() {
  joined = clock.mark();
}

export function lose() {
  lost = true;
}

export function pulse(data) {
  clock.tell(data.now_ms);
  truths = { server: data.now_ms };
  for (const [name, ms] of Object.entries(data)) {
    if (name.endsWith("_ms") && name !== "now_ms") truths[name.slice(0, -3)] = ms;
  }
  node = data.node;
  lost = false;
  joined = null;
}

// Brings the dot, the marks and the footer up to now.
export function refresh() {
  const patient = joined && clock.passed(joined) < GRACE;
  show(patient && !lost ? ["connecting"] : judged());
  if (patient) return;
  document.getElementById("silent").hidden = !old("server");
  document.querySelectorAll("section[data-card], section[data-domain]").forEach(age);
  for (const element of document.querySelectorAll("[data-truth] time")) {
    const ms = truths[element.parentElement.dataset.truth];
    if (ms) date(element, ms);
  }
}

const old = (domain) =>
  truths.server === null || truths[domain] === null || clock.now() - truths[domain] > STALE;
const earliest = (domains) => Math.min(...domains.map((domain) => truths[domain] ?? 0));

// The state, why, and the moment of the figures.
function judged() {
  if (old("server")) return ["stale", lost ? t("server not reached") : t("server silent"), truths.server];
  if (lost) return ["reconnecting"];
  if (joined) return ["connecting"];
  const aged = ["chain", "mempool"].filter(old);
  const known = aged.filter((domain) => truths[domain]);
  const who = aged.length > 1 ? t("node silent") : UNCONFIRMED[aged[0]];
  if (known.length) return ["stale", who, earliest(known)];
  const trouble = document.querySelector("#card-notices[data-server=stale] .failed:not([data-of-age]) strong");
  if (trouble) return ["stale", trouble.textContent];
  return aged.length ? ["waiting", t("for the node")] : ["live"];
}

function show([state, why = "", ms = null]) {
  const [text, title] = STATES[state];
  dot.dataset.state = state;
  dot.title = node && ms !== truths.server ? `${title}. ${node[0].toUpperCase()}${node.slice(1)}` : title;
  write(dot.querySelector(".dot-text"), text);
  write(dot.querySelector(".dot-why"), why);
  stamp(dot.querySelector(".dot-age"), FOR, "for", ms);
}

// A moment in words that go on: apart from what a screen reader tells when it changes.
function stamp(element, [before, after], kind, ms) {
  if (ms === null) return element.replaceChildren();
  if (!element.firstElementChild) {
    const time = document.createElement("time");
    time.dataset[kind] = "";
    const words = document.createElement("span");
    words.textContent = before;
    element.replaceChildren(words, time, after); // on a narrow screen the moment alone is shown
  }
  date(element.querySelector("time"), ms);
}

// Rewrites only what differs: a screen reader tells each rewriting.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Marks a card whose figures are old; the mark stands on its border, so that nothing moves.
function age(card) {
  const domains = (card.dataset.domain || "server").split(" ");
  const aged = domains.some(old) && !card.querySelector(":scope > .absent");
  let mark = card.querySelector(":scope > .as-of");
  if (!aged) return mark?.remove();
  if (!mark) {
    mark = document.createElement("p");
    mark.className = "as-of";
    card.append(mark);
  }
  const ms = earliest(domains);
  if (ms) stamp(mark, AS_OF, "ago", ms);
  else write(mark, t("not confirmed by the node"));
}
