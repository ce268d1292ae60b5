// The search: `/` goes to it, the newest blocks and the pools are offered while one types, and a key goes to the page of
// wallets by POST: it must not stand in an address.

import { t } from "./words.js";

const FORMS = document.querySelectorAll("form.search-form");
const UNSEEN = /[\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g;
const PRIVATE = /[xyztuv]prv[0-9a-z]{8}|(^|[^0-9a-z])([5KL9c][1-9A-HJ-NP-Za-km-z]{50,51}|6P[1-9A-HJ-NP-Za-km-z]{56})($|[^0-9a-z])/i;
const WALLET = /[xyztuv]pub[0-9a-z]{8}|(^|[^0-9a-z])(pk|pkh|wpkh|sh|wsh|tr|rawtr|combo|multi|sortedmulti)\(/i;
const WORDS = /(?<![^\s,])\p{L}{3,}(?![^\s,])/gu;
const REST = 150; // ms without a key before it is asked what is known
const LONGEST = 64;

// A search for what may be public: as the server says it (web.lookups.refusals), which looks again.
function kindOf(text) {
  const plain = text.normalize("NFKC").replace(UNSEEN, "");
  if (PRIVATE.test(plain) || (text.match(WORDS) ?? []).length > 9) return "secret";
  return WALLET.test(plain) ? "wallet" : "public";
}

function say(form, text) {
  const said = form.querySelector(".search-said");
  said.textContent = text;
  said.hidden = !text;
}

function submit(event) {
  const form = event.currentTarget;
  const field = form.elements.q;
  const kind = kindOf(field.value);
  if (!field.value.trim()) {
    event.preventDefault();
    field.focus();
  } else if (kind === "secret") {
    event.preventDefault();
    field.value = "";
    say(form, t("This looks like a private key or the words of a seed. It was not sent. Do not enter it anywhere."));
  } else {
    form.method = kind === "wallet" ? "post" : "get";
    form.action = kind === "wallet" ? "/wallet" : "/search";
  }
}

// --- what is known ---------------------------------------------------------------------------------

let due = 0;
let last = null;

async function offer(field) {
  const text = field.value.trim();
  const known = field.list;
  last?.abort();
  if (text.length < 2 || text.length > LONGEST || kindOf(text) !== "public") {
    known.replaceChildren();
    return;
  }
  last = new AbortController();
  try {
    const answer = await fetch(`/api/v1/search?q=${encodeURIComponent(text)}`, { signal: last.signal });
    if (!answer.ok) return;
    const { results } = await answer.json();
    known.replaceChildren(
      ...results.map(({ value, label }) => {
        const option = document.createElement("option");
        option.value = value;
        option.label = label;
        return option;
      }),
    );
  } catch {
    // nothing is offered: the search itself says what is wrong
  }
}

for (const form of FORMS) {
  const field = form.elements.q;
  form.addEventListener("submit", submit);
  field.addEventListener("input", () => {
    say(form, "");
    clearTimeout(due);
    due = setTimeout(offer, REST, field);
  });
}

// --- the way to it ---------------------------------------------------------------------------------

function open() {
  const top = document.getElementById("search");
  const field = top.elements.q;
  top.classList.add("open");
  document.querySelector("a.find").setAttribute("aria-expanded", "true");
  field.focus();
  field.select();
}

document.querySelector("a.find").addEventListener("click", (event) => {
  event.preventDefault();
  open();
});

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  open();
});
