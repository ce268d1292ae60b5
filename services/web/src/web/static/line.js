// One connection to the server for all tabs of a browser, which keeps six at most to one host over HTTP/1.1.
//
// Tabs in sight hear each other over a BroadcastChannel. The one that has been in sight longest holds the connection,
// asks for the pages of all, and hands on what comes. A hidden tab takes no part, so with none in sight there is no
// connection. Nobody is elected and nothing is locked: each tab judges by what it hears, and where two hold a
// connection for a moment, both are right, and the younger lets go once it hears the elder. (Web Locks exist on secure
// origins only, and at home this page is read over plain HTTP; a SharedWorker is missing on Android.)
//
// `receive(event, data)` gets the server's `cards` and `pulse`, and of our own `joined` (in sight again: what is shown
// may be old, the answer is on its way) and `lost` (the connection broke, the next attempt follows).

import { mark, passed } from "./clock.js";

const { lang: LANGUAGE, dataset: { currency: CURRENCY } } = document.documentElement; // whatever was chosen since
const EVENTS = ["cards", "pulse"];
const BEAT = 2000; // ms between two signs of life of a tab in sight
const GONE = 7000; // a tab that gave none for so long has crashed or hangs
const LISTEN = 150; // a tab that comes hears for so long who else is there
const SETTLE = 50; // tabs that come together are asked for together
const SILENT = 20000; // a connection that brought nothing for so long is made anew: the server sends every 5 s
const RETRY = 2000; // the wait after an attempt that failed; grows with each, fivefold at most
const LATER = 10; // ms by which a timer may be early

export class Line {
  #page;
  #receive;
  #name = ""; // sorts by when this tab came in sight; empty while it is hidden
  #mates = new Map(); // the other tabs in sight: name -> { page, heard }
  #channel = null;
  #source = null;
  #asked = new Set(); // the pages that the connection is for
  #heard = mark(); // when it brought something
  #failures = 0;
  #rest = 0; // no attempt before, by the steady clock
  #beats = 0; // timers
  #soon = 0;

  constructor(page, receive) {
    this.#page = page;
    this.#receive = receive;
    const look = () => (document.visibilityState === "visible" ? this.#join() : this.#leave());
    document.addEventListener("visibilitychange", look);
    addEventListener("pageshow", look);
    addEventListener("pagehide", () => this.#leave());
    look();
  }

  #join() {
    if (this.#name) return;
    this.#name = `${String(Date.now()).padStart(16, "0")} ${Math.random()}`;
    this.#channel = new BroadcastChannel(`${import.meta.url} ${LANGUAGE} ${CURRENCY}`); // of our version, for our reader
    this.#channel.addEventListener("message", ({ data }) => this.#hear(data));
    this.#receive("joined");
    this.#say("hello");
    this.#beats = setInterval(() => this.#beat(), BEAT);
    this.#failures = 0;
    this.#rest = 0;
    this.#pause(LISTEN);
  }

  #leave() {
    if (!this.#name) return;
    this.#say("gone");
    this.#hangUp();
    clearInterval(this.#beats);
    clearTimeout(this.#soon);
    this.#channel.close();
    this.#mates.clear();
    this.#name = "";
  }

  // --- the other tabs ------------------------------------------------------------------------------

  #say(kind, more = {}) {
    this.#channel.postMessage({ kind, from: this.#name, page: this.#page, ...more });
  }

  #hear({ kind, from, page, event, data }) {
    if (kind === "event") return this.#receive(event, data);
    if (kind === "gone") this.#mates.delete(from);
    else this.#mates.set(from, { page, heard: performance.now() });
    if (kind === "hello") {
      this.#say("here");
      this.#asked.clear(); // who comes needs everything, and that is what a new connection is told
      this.#pause(SETTLE);
    }
    if (kind === "gone") this.#decide();
  }

  #beat() {
    const now = performance.now();
    for (const [name, mate] of this.#mates) if (now - mate.heard > GONE) this.#mates.delete(name);
    this.#say("here");
    this.#decide();
  }

  #pause(ms) {
    this.#rest = Math.max(this.#rest, performance.now() + ms);
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => this.#decide(), ms + LATER);
  }

  #decide() {
    if ([...this.#mates.keys()].some((name) => name < this.#name)) return this.#hangUp();
    if (performance.now() < this.#rest) return;
    const pages = [this.#page, ...[...this.#mates.values()].map((mate) => mate.page)];
    const complete = this.#source && pages.every((page) => this.#asked.has(page));
    if (!complete || passed(this.#heard) > SILENT) this.#connect(pages);
  }

  // --- the server ----------------------------------------------------------------------------------

  #connect(pages) {
    this.#hangUp();
    this.#asked = new Set(pages);
    this.#heard = mark();
    const names = [...this.#asked].sort().join();
    this.#source = new EventSource(`/live?pages=${names}&language=${LANGUAGE}&currency=${CURRENCY}`);
    for (const event of EVENTS) {
      this.#source.addEventListener(event, ({ data }) => {
        this.#heard = mark();
        this.#failures = 0;
        this.#pass(event, data);
      });
    }
    this.#source.addEventListener("error", () => this.#fail());
  }

  #hangUp() {
    this.#source?.close();
    this.#source = null;
  }

  // Tries again with the first beat after a rest.
  #fail() {
    this.#hangUp();
    this.#failures = Math.min(this.#failures + 1, 5);
    this.#rest = performance.now() + RETRY * this.#failures * (0.5 + Math.random() / 2);
    this.#pass("lost");
  }

  #pass(event, data) {
    this.#say("event", { event, data });
    this.#receive(event, data);
  }
}
