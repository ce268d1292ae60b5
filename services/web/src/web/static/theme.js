// Sets the chosen colour scheme before anything is drawn. Without a choice the system's scheme holds.
"use strict";
(() => {
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // storage is off: the system's scheme holds
  }
})();
