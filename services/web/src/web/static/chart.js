// Makes the pictures of a chart page live: a cursor with the values under it, zoom that asks the server for finer
// points, scales and spans without leaving the page, new points as they come. Every word around the plots is the
// server's: the page is fetched anew with the points, and what is marked as a part of it swapped in.

import { announce } from "./cards.js";
import { Plot } from "./plot.js";
import { t } from "./words.js";

const PATIENCE = { usual: 10000, hour: 1000 }; // ms between two looks for new points
const narrow = matchMedia("(max-width: 600px)");
const plots = new Map();
let description = read(document);
let points = new Map(); // of the figures that are shown, by figure and line
let etag = "";

function read(root) {
  const element = root.getElementById("description");
  return element ? JSON.parse(element.textContent) : null;
}

// What a plot asks of the page.
const host = {
  get start() {
    return description.start;
  },
  get end() {
    return description.end;
  },
  points: (figure, line) => points.get(`${figure.name} ${line.name}`) ?? [],
  zoom: (from, to) => go({ from, to, range: description.back, ...always() }),
  reset: () => zoomed() && go({ range: description.back, ...always() }),
};

// --- the server ------------------------------------------------------------------------------------

const trouble = document.getElementById("trouble");
let asked = 0;

const address = (query) => `${location.pathname}?${new URLSearchParams(query)}`;
const zoomed = () => description !== null && description.range === "";

// What another span leaves as it is: the currency and the style, where they make a difference.
function always() {
  const { range, from, to, ...rest } = Object.fromEntries(new URLSearchParams(description.query));
  return rest;
}

async function fetched(url) {
  const response = await fetch(url, { cache: "no-cache" });
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response;
}

// Another language was chosen meanwhile, in another tab: parts of both would stand side by side.
async function fetchPage(url) {
  const page = new DOMParser().parseFromString(await (await fetched(url)).text(), "text/html");
  if (page.documentElement.lang !== document.documentElement.lang) location.assign(url);
  return page;
}

async function fetchPoints(query) {
  const response = await fetched(`/api/v1/charts/${description.metric}?${query}`);
  const tag = response.headers.get("ETag") ?? "";
  return [tag, await response.json()];
}

function keep([tag, answer]) {
  etag = tag;
  points = new Map(answer.series.map((series) => [`${series.figure} ${series.name}`, series.points]));
}

// Another span or scale: the page says what there is to draw, the API the points.
async function go(query, log = description.log) {
  const turn = ++asked;
  const url = address(log ? { ...query, scale: "log" } : query);
  document.body.classList.add("asking");
  try {
    const page = await fetchPage(url);
    const fresh = read(page);
    if (!fresh) throw new Error(t("there are no figures"));
    const answer = await fetchPoints(fresh.query);
    if (turn !== asked) return; // somebody was quicker
    history.replaceState(null, "", url);
    show(page, fresh, answer);
    trouble.textContent = "";
  } catch (error) {
    trouble.textContent = t("The server gave no new figures (%(error)s). The picture is as it was.", {
      error: error.message,
    });
  } finally {
    document.body.classList.remove("asking");
  }
}

function show(page, fresh, answer) {
  const same = JSON.stringify(fresh.figures) === JSON.stringify(description.figures);
  swap(page, same);
  description = fresh;
  keep(answer);
  for (const figure of same ? fresh.figures : []) plots.get(figure.name).update(figure);
  if (!same) build();
}

// Puts the fresh parts in place. What is open stays open, and the focus where it was.
function swap(page, same) {
  announce(page);
  const focus = document.activeElement?.id;
  const open = [...document.querySelectorAll("details[data-rest]")].filter((e) => e.open).map((e) => e.dataset.rest);
  const kind = same ? "[data-part]" : "[data-part]:not([data-figure] *), [data-figure]";
  const olds = [...document.querySelectorAll(kind)];
  const name = (part) => part.dataset.part ?? part.dataset.figure;
  const news = new Map([...page.querySelectorAll(kind)].map((part) => [name(part), part]));
  for (const old of olds) {
    const part = news.get(name(old));
    if (part) old.replaceWith(part);
    else old.remove();
    news.delete(name(old));
  }
  for (const part of news.values()) document.querySelector("[data-part=tables]").before(part);
  for (const name of open) {
    const rest = document.querySelector(`details[data-rest="${CSS.escape(name)}"]`);
    if (rest) rest.open = true;
  }
  for (const button of document.querySelectorAll("button.copy[hidden]")) button.hidden = !navigator.clipboard;
  if (focus && !document.getElementById(document.activeElement?.id)) document.getElementById(focus)?.focus();
}

function build() {
  for (const plot of plots.values()) plot.destroy();
  plots.clear();
  for (const figure of description.figures) plots.set(figure.name, new Plot(figure, host));
}

// --- new points ------------------------------------------------------------------------------------

let looked = performance.now();
let timer = 0;
let update = renew;

function changed() {
  if (timer || zoomed()) return;
  const patience = description?.range === "1h" ? PATIENCE.hour : PATIENCE.usual;
  timer = setTimeout(
    () => {
      timer = 0;
      looked = performance.now();
      update();
    },
    Math.max(0, looked + patience - performance.now()),
  );
}

async function look() {
  const turn = asked;
  try {
    const answer = await fetchPoints(description.query);
    if (answer[0] === etag || turn !== asked) return;
    const page = await fetchPage(location.href);
    const fresh = read(page);
    if (fresh && turn === asked && !zoomed()) show(page, fresh, answer);
  } catch {
    // the dot in the header says that the server is away; the next change brings the next attempt
  }
}

// Where nothing is drawn here: the index, a chart that is not there yet, pictures of the server without uPlot.
async function renew() {
  try {
    const page = await fetchPage(location.href);
    if (update !== renew) return; // meanwhile it is drawn here
    if (!description && read(page)) location.reload();
    else swap(page, false);
  } catch {
    // as above
  }
}

// --- life ------------------------------------------------------------------------------------------

function repaint() {
  for (const plot of plots.values()) plot.repaint();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-go]");
  if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  const { scale: wanted, ...query } = Object.fromEntries(new URL(link.href).searchParams);
  go(query, wanted === "log");
});

async function start() {
  try {
    keep(await fetchPoints(description.query));
  } catch {
    return; // the pictures of the server stay
  }
  build();
  update = look;
  new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  narrow.addEventListener("change", () => plots.forEach((plot) => plot.draw()));
  document.body.dataset.drawn = "true";
}

new MutationObserver(changed).observe(document.querySelector("[data-pulse]"), { attributes: true });
if (description && description.figures.length && typeof uPlot !== "undefined") start();
