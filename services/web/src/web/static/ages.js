// How long ago something was: the only text that is made here and not by the server, in the server's words.

import { now } from "./clock.js";
import { t, tn, tp } from "./words.js";

const UNITS = [
  [31556952, tp("unit of time", "y")],
  [86400, tp("unit of time", "d")],
  [3600, tp("unit of time", "h")],
  [60, tp("unit of time", "min")],
  [1, tp("unit of time", "s")],
];

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
  return words.join(" ") || `0 ${UNITS.at(-1)[1]}`;
}

function longDuration(seconds) {
  const years = Math.floor(seconds / 31556952);
  const days = Math.floor((seconds % 31556952) / 86400);
  const hours = Math.floor(((seconds % 31556952) % 86400) / 3600);
  const told = [
    tn("%(number)s year", "%(number)s years", years),
    tn("%(number)s day", "%(number)s days", days),
    `${hours} ${tp("unit of time", "h")}`,
  ];
  return told.join(" ");
}

function words(element, at) {
  const seconds = at - Date.parse(element.dateTime) / 1000;
  const rough = () => duration(seconds, seconds < 3600 ? 1 : 2);
  if ("ago" in element.dataset) return seconds < 1 ? t("just now") : t("%(duration)s ago", { duration: rough() });
  if ("for" in element.dataset) return rough();
  if ("since" in element.dataset) return longDuration(seconds);
  return seconds < 0 ? t("in %(duration)s", { duration: duration(-seconds, 2) }) : t("due now");
}

// Brings every age below `root` up to now.
export function tick(root = document) {
  const at = now() / 1000;
  for (const element of root.querySelectorAll("time[data-ago], time[data-for], time[data-since], time[data-until]")) {
    const text = words(element, at);
    if (element.textContent !== text) element.textContent = text;
  }
}

// Makes a <time> name this moment; `tick` writes how long ago that was.
export function date(element, ms) {
  const iso = `${new Date(ms).toISOString().slice(0, 19)}Z`;
  if (element.getAttribute("datetime") === iso) return;
  element.setAttribute("datetime", iso);
  element.title = `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}
