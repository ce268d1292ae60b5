// Keeps an open page current: swaps the cards that the server sends, says how old they are, copies, switches the
// scheme. Numbers come formatted from the server.

import { tick } from "./ages.js";
import { show } from "./cards.js";
import { Line } from "./line.js";
import * as truth from "./truth.js";
import { t } from "./words.js";

// --- what comes from the server --------------------------------------------------------------------

const ANSWERS = { cards: show, pulse: truth.pulse, lost: truth.lose, joined: truth.join };

function receive(event, data) {
  ANSWERS[event](data && JSON.parse(data));
  refresh();
}

function refresh() {
  truth.refresh();
  tick();
  reveal();
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
  const light = scheme() === "dark"; // what is offered
  theme.textContent = light ? t("Light") : t("Dark");
  theme.setAttribute("aria-label", light ? t("Switch to the light scheme") : t("Switch to the dark scheme"));
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
setInterval(() => document.hidden || refresh(), 1000);
new Line(document.body.dataset.page, receive);
